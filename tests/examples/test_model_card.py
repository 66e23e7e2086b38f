"""The card of a model holds the figures that were measured, and nothing is written while one of them is missing."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from endoseg_cli.networks.files.bundle import load_bundle, load_card, save_bundle
from tests.examples.made_up import write_results, write_texts
from tests.networks.tiny import save_to, tiny_bundle, with_corrective
from tests.training.small import save_frames

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
RESULTS = EXAMPLES / "results" / "polyp-lite"
BLOCK = re.compile(r"<!-- polyp-lite's figures.*?-->\n(.*?)<!-- end of", re.DOTALL)


def _run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / "model_card.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def _write(folder: Path, *more: object) -> subprocess.CompletedProcess[str]:
    words = ("--results", folder / "results", "--training", folder / "training.toml", "--out", folder / "card.md")
    return _run("write", *words, *more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with results of two models, and the texts."""
    write_results(tmp_path / "results")
    write_results(tmp_path / "results" / "before", model="old", dice=0.6)
    write_texts(tmp_path / "training.toml")
    return tmp_path


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Give what the script that measures defines."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield runpy.run_path(str(EXAMPLES / "model_card_measure.py"))


def test_the_card_holds_the_figures(folder: Path) -> None:
    done = _write(folder)
    assert done.returncode == 0, done.stderr
    card = (folder / "card.md").read_text()
    for line in (
        "# tiny",
        "on 2 of 3 frames with a polyp, what it draws overlaps the polyp; mean Dice on all 3 is 0.600 (95 %: ",
        "nothing is drawn on 1 of 3",
        "something is drawn on 1 of 1 frames without a polyp",
        "1.00 times as many as those before",
        "| | both networks | network 1 | network 2 | before |\n| --- | --- | --- | --- | --- |\n",
        "| Dice, frames with a polyp | 0.600 ± 0.250 | 0.550 ± 0.250 | 0.450 ± 0.250 | 0.500 ± 0.250 |",
        "| image level: precision; recall; F1 | 0.667; 0.667; 0.667 |",
        "Dice differs by +5.0 points (+0.0 to +10.0) over all frames and by +6.7 points",
        "AUROC of 0.912",
        "| below 2 % | 2 | 0.300 ± 0.250 | 1 | 0.300 ± 0.250 | 1 |",
        "| **0.9** | 0.600 | 0.700 |",
        "| 0.98 | 0.502 | 0.602 |",
        "| `--refine flagged` | 0.720; 0.710 |",
        "| before: as predicted | 0.600; 0.600 |",
        "`--refine flagged` changes Dice by +1.0 points and `--refine all` changes Dice by -1.5 points",
        "| a bowel | 50 | 7 | 7 | 7 | 7 |",
        "A CPU (threads: 2, cores: 2; endoseg 0.1.0, torch 2.13.0, opencv 5.0)",
    ):
        assert line in card, line
    tables = re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE)
    for table in tables:
        assert len({row.count("|") for row in table.splitlines()}) == 1, table
    assert len(tables) == 6 and str(folder) not in card and "{" not in card


def test_readme_and_model_file_get_the_same_figures(folder: Path) -> None:
    readme = folder / "README.md"
    begin, end = re.findall(r"<!-- .*? -->", (ROOT / "README.md").read_text())
    readme.write_text(f"Above.\n\n{begin}\nold figures\n{end}\n\nBelow.\n")
    done = _write(folder, "--readme", readme, "--scores", folder / "scores.yaml")
    assert done.returncode == 0, done.stderr
    text = readme.read_text()
    assert "old figures" not in text and text.startswith(f"Above.\n\n{begin}\nOn 4 stills of a centre")
    assert "2 of 3 frames that have one\n(mean Dice 0.600)" in text and text.endswith(f"\n{end}\n\nBelow.\n")
    scores = yaml.safe_load((folder / "scores.yaml").read_text())["scores"]
    assert (scores["dice_mean"], scores["empty_frames_kept_empty"]) == (0.7, "0 of 1")
    assert _write(folder, "--readme", readme).returncode == 0 and readme.read_text() == text


def test_a_card_without_the_model_before(tmp_path: Path) -> None:
    write_results(tmp_path / "results")
    write_texts(tmp_path / "training.toml")
    done = _write(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "before |" not in (tmp_path / "card.md").read_text()


@pytest.mark.parametrize("missing", ["stills", "presence-0.95", "before/clips-spoiled"])
def test_a_missing_result_is_one_line_and_writes_nothing(folder: Path, missing: str) -> None:
    (folder / "results" / f"{missing}.json").unlink()
    done = _write(folder)
    assert done.returncode == 1 and not (folder / "card.md").exists()
    (line,) = done.stderr.splitlines()
    assert f"{missing}.json" in line and f"measure --only {missing.rpartition('/')[2]}" in line


def test_results_that_do_not_belong_together_are_refused(folder: Path) -> None:
    path = folder / "results" / "clips.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | {"model": "another"}))
    assert "of several models" in _write(folder).stderr
    path.write_text(json.dumps(whole | {"data": "others"}))
    assert "clips.json was measured on other data" in _write(folder).stderr
    path.write_text("[]")
    (line,) = _write(folder).stderr.splitlines()
    assert "clips.json is not a result of measure" in line and not (folder / "card.md").exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"training": "TODO: steps"}, "training is unfinished"), ({"colour": "red"}, "has colour"), (None, "lacks title")],
)
def test_texts_are_complete_and_known(folder: Path, changed: dict[str, str] | None, words: str) -> None:
    path = folder / "training.toml"
    if changed is None:
        path.write_text('summary = "Short."')
    else:
        write_texts(path, **changed)
    (line,) = _write(folder).stderr.splitlines()
    assert words in line and "training.toml" in line and not (folder / "card.md").exists()


def test_a_readme_without_a_place_is_refused(folder: Path) -> None:
    (folder / "README.md").write_text("Nothing.")
    (line,) = _write(folder, "--readme", folder / "README.md").stderr.splitlines()
    assert "no place for the figures" in line and not (folder / "card.md").exists()


def test_measuring_runs_endoseg_once_and_names_no_folder(tmp_path: Path) -> None:
    save_to(tmp_path, tiny_bundle())
    save_frames(tmp_path / "patient-name", 2)
    words = ("--weights", tmp_path / "model.safetensors", "--c4", tmp_path / "patient-name", "--out", tmp_path / "out")
    done = _run("measure", *words, "--only", "stills")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "stills.json").read_text()
    found = json.loads(text)
    assert found["commands"][0].startswith("endoseg evaluate --labeled c4 --weights model.safetensors --json")
    assert len(found["result"]["frames"]["dice"]) == found["result"]["both"]["frames"] == 2
    assert str(tmp_path) not in text and "patient" not in text and len(text) < 10_000
    again = _run("measure", *words, "--only", "stills")
    assert "there already" in again.stderr and (tmp_path / "out" / "stills.json").read_text() == text
    assert "no such measurement" in _run("measure", *words, "--only", "stil").stderr
    assert "--clip must be NAME=VIDEO" in _run("measure", *words, "--clip", "video.mp4").stderr


def test_scores_in_the_model_file_make_it_no_other_model(tmp_path: Path, measuring: dict[str, Any]) -> None:
    path, other = tmp_path / "model.safetensors", tmp_path / "other.safetensors"
    save_bundle(with_corrective(tiny_bundle()), path)
    bundle = load_bundle(path)
    digest, parameters = measuring["read_model"](path)
    assert set(parameters) == {"network1", "network2", "corrective"}
    raw = path.read_bytes()
    assert raw.count(b', \\"size\\": null') == 1  # as an older endoseg wrote it, padded to the same length
    other.write_bytes(raw.replace(b', \\"size\\": null', b" " * 16))
    assert measuring["read_model"](other)[0] == digest
    save_bundle(replace(bundle, card=replace(bundle.card, scores={"dice": 0.7}, name="named")), other)
    assert measuring["read_model"](other)[0] == digest
    save_bundle(replace(bundle, card=replace(bundle.card, presence=0.9)), other)
    assert measuring["read_model"](other)[0] != digest
    other.write_text("no model")
    with pytest.raises(ValueError, match="not a model of endoseg"):
        measuring["read_model"](other)


def test_speed_is_told_where_it_was_measured(folder: Path, measuring: dict[str, Any]) -> None:
    benchmark = json.loads((EXAMPLES / "results" / "speed-torch-1280x720.json").read_text())
    for results in (folder / "results", folder / "results" / "before"):
        entry = json.loads((results / "flips.json").read_text())
        entry |= {"result": measuring["trim_speed"]([benchmark])}
        (results / "speed.json").write_text(json.dumps(entry))
    assert _write(folder).returncode == 0
    off = f"{benchmark['videos'][0]['segment']['off']['frames_per_second']:.1f}"
    card = (folder / "card.md").read_text()
    assert f"1280x720 video runs at {off} frames a second with `--refine off`, " in card
    assert f"(torch bf16, 2 cores of A CPU); the model before at {off}, " in card


@pytest.mark.skipif(not (RESULTS / "model.json").is_file(), reason="the bundled model has not been measured yet")
def test_the_bundled_model_and_its_card_are_what_was_measured(tmp_path: Path, measuring: dict[str, Any]) -> None:
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text())
    words = ("--results", RESULTS, "--training", RESULTS / "training.toml", "--out", tmp_path / "card.md")
    done = _run("write", *words, "--readme", readme, "--scores", tmp_path / "scores.yaml")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "card.md").read_text() == (ROOT / "weights" / "README.md").read_text()
    assert readme.read_text() == (ROOT / "README.md").read_text() and BLOCK.search(readme.read_text())
    weights = ROOT / "weights" / "polyp-lite.safetensors"
    assert measuring["read_model"](weights)[0] == json.loads((RESULTS / "model.json").read_text())["model"]
    assert load_card(weights).scores == yaml.safe_load((tmp_path / "scores.yaml").read_text())["scores"]
    files = list(RESULTS.rglob("*.json"))
    assert sum(path.stat().st_size for path in files) < 100_000
    assert not [path for path in files if re.search(r'[" =]/\w', path.read_text())]
