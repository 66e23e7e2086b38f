"""The curve of examples/label_curve.py holds the means of what examples/compare_methods.py left."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from endoseg_cli.data.sets.split import read_split

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def _results(folder: Path, masks: int, scores: dict[tuple[str, int], list[float]], *, has_same: bool = True) -> Path:
    (folder / "results").mkdir(parents=True)
    (folder / "train.json").write_text(json.dumps({"train": {"labeled": [{}] * masks, "unlabeled": []}, "val": []}))
    for (row, seed), values in scores.items():
        frames = {"names": ["a", "b", "c"], "dice": [*values, 1.0], "present": [1, 1, 0], "predicted": [1, 1, 0]}
        frames |= {"tp": [1, 1, 0], "fp": [0, 0, 0], "fn": [0, 0, 0]}
        same = frames if has_same else {key: [] for key in frames}
        run = {"row": row, "seed": seed, "cpu_seconds": 60.0, "same": same, "other": frames}
        (folder / "results" / f"{row}-{seed}.json").write_text(json.dumps(run))
    return folder


def _run(*arguments: object) -> str:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_curve_over_the_numbers_of_masks(tmp_path: Path) -> None:
    few = _results(
        tmp_path / "few",
        8,
        {
            ("supervised", 0): [0.2, 0.4],
            ("supervised", 1): [0.4, 0.6],
            ("endo-semis", 0): [0.5, 0.7],
            ("cps", 0): [0, 0],
        },
    )
    many = _results(tmp_path / "many", 124, {("endo-semis", 0): [0.8, 0.9]}, has_same=False)
    ledger = tmp_path / "curve.json"
    printed = _run(EXAMPLES / "label_curve.py", few, many, "--out", tmp_path / "curve.png", "--ledger", ledger)
    assert printed == _run(EXAMPLES / "label_curve.py", "--out", tmp_path / "again.png", "--ledger", ledger)
    nothing = [sys.executable, str(EXAMPLES / "label_curve.py"), "--out", str(tmp_path / "none.png")]
    refused = subprocess.run(nothing, capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "expected folders, or a --ledger" in refused.stderr
    assert "Traceback" not in refused.stderr and not (tmp_path / "none.png").exists()
    assert "| same hospitals | supervised | 40.0 (30.0, 50.0) | - |" in printed
    assert "| another hospital | endo-semis | 60.0 | 85.0 |" in printed and "cps" not in printed
    kept = json.loads(ledger.read_text())[0]
    assert kept["cpu_seconds"] == 60 and kept["other"]["tp"] == [1, 1, 0] and len(kept["other"]["dice"]) == 3
    picture = cv2.imread(str(tmp_path / "curve.png"))
    assert picture is not None and picture.std() > 5

    table = _run(EXAMPLES / "compare_methods.py", "--split", "none", "--out", many, "--table")
    assert "| endo-semis | 1 | 1 | - | 85.0 (85.0); 90.0; 100.0; 1 of 1 |" in table


def test_a_ledger_holds_all_results_for_another_machine(tmp_path: Path) -> None:
    here = _results(tmp_path / "here", 8, {("supervised", 0): [0.2, 0.4], ("endo-semis", 0): [0.5, 0.7]})
    compare = runpy.run_path(str(EXAMPLES / "compare_methods.py"))
    compare["pack"](tmp_path / "ledger.json", here)
    there = tmp_path / "there"
    arguments = ("--split", "none", "--ledger", tmp_path / "ledger.json", "--table")
    table = _run(EXAMPLES / "compare_methods.py", *arguments, "--out", there)
    assert table == _run(EXAMPLES / "compare_methods.py", "--split", "none", "--table", "--out", here)
    assert "| endo-semis | 1 | +30.0 (+30.0 to +30.0) | +20.0" in table
    assert (there / "results" / compare["file_name"]("endo-semis", 0)).is_file()


def test_frames_kept_for_scoring_are_in_no_list_to_train_with(tmp_path: Path) -> None:
    compare = runpy.run_path(str(EXAMPLES / "compare_methods.py"))
    counts = {"labeled": 4, "unlabeled": 3, "val": 1}
    lists: dict[str, list[dict[str, str]]] = {}
    for kind, number in counts.items():
        for index in range(number):
            for folder in ("images", "masks"):
                (tmp_path / folder).mkdir(exist_ok=True)
                cv2.imwrite(str(tmp_path / folder / f"{kind}{index}.png"), np.zeros((8, 8), np.uint8))
        entries = [{"image": f"images/{kind}{k}.png", "mask": f"masks/{kind}{k}.png"} for k in range(number)]
        lists[kind] = [{"image": one["image"]} for one in entries] if kind == "unlabeled" else entries
    val = lists.pop("val")
    (tmp_path / "split.json").write_text(json.dumps({"train": lists, "val": val}))
    everything = read_split(tmp_path / "split.json")
    relative = replace(everything.labeled[2], image=everything.labeled[2].image.parent / "../images/labeled2.png")
    held = (relative,)  # not among those that keep their masks, and named in another way
    (tmp_path / "out").mkdir()
    compare["write_splits"](everything, tmp_path / "out", 4, held)
    train, same = (read_split(tmp_path / "out" / f"{name}.json", outside=True) for name in ("train", "same"))
    labeled, unlabeled = ({one.image for one in records} for records in (train.labeled, train.unlabeled))
    scored = {one.image.resolve() for one in same.val}
    assert labeled == {everything.labeled[0].image}
    assert len(unlabeled) == 3 + 2  # those that lost their masks, less the one kept for scoring
    assert scored == {everything.labeled[2].image} and not scored & (labeled | unlabeled)
    with pytest.raises(SystemExit, match="in the val list of the split as well"):
        compare["write_splits"](everything, tmp_path / "out", 4, everything.val)

    result = tmp_path / "supervised-0.json"
    paths = {key: tmp_path / "out" / f"{key}.json" for key in ("same", "other")}
    result.write_text(json.dumps({"same": {"names": ["images/labeled2"]}, "other": {"names": ["val0"]}}))
    compare["check_scored"](result, paths)
    result.write_text(json.dumps({"same": {"names": ["labeled1"]}, "other": {"names": ["val0"]}}))
    with pytest.raises(SystemExit, match="of other frames than"):
        compare["check_scored"](result, paths)
