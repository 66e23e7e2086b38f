from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from endoseg_cli.cli.commands.check import check
from endoseg_cli.errors import UsageError
from tests.data.drawing import save_pair, save_video

app = typer.Typer()
app.command()(check)
runner = CliRunner()


def make_set(root: Path, names: Iterable[str], seed: int = 0) -> str:
    for offset, name in enumerate(names):
        save_pair(root / "images" / f"{name}.png", root / "masks" / f"{name}.png", seed + offset)
    return str(root)


def test_healthy_data_give_a_table_and_exit_code_0(tmp_path: Path) -> None:
    labeled, val = make_set(tmp_path / "l", "ab"), make_set(tmp_path / "v", "c", 9)
    video = save_video(tmp_path / "clip.avi", seed=30)
    sheet = tmp_path / "made" / "sheet.png"
    options = ["--labeled", labeled, "--val", val, "--unlabeled", str(video), "--cache", str(tmp_path / "cache")]
    result = runner.invoke(app, [*options, "--frames-per-second", "5", "--contact-sheet", str(sheet)])
    assert result.exit_code == 0, result.output
    rows = [re.split(r"\s{2,}", line.strip()) for line in result.stdout.splitlines()]
    assert [row[:4] for row in rows if row[0] in {"labelled", "validation", "unlabelled"}] == [
        ["labelled", "2", "1", "64x48 (2)"],
        ["validation", "1", "1", "64x48 (1)"],
        ["unlabelled", "10", "1", "64x48 (10)"],
    ]
    assert "2 (100 %)" in result.stdout
    assert "no faults" in result.stderr
    assert sheet.is_file()


def test_every_fault_stands_on_stderr_and_the_exit_code_is_3(tmp_path: Path) -> None:
    labeled = make_set(tmp_path / "l", "abc")
    (tmp_path / "l" / "images" / "a.png").write_bytes(b"broken")
    (tmp_path / "l" / "masks" / "b.png").unlink()
    result = runner.invoke(app, ["--labeled", labeled])
    assert result.exit_code == 3
    faults = [line for line in result.stderr.splitlines() if line.startswith("fault: ")]
    assert len(faults) == 2 and "b.png" in faults[0] and "a.png" in faults[1]
    assert result.stderr.splitlines()[-1] == "2 faults"
    assert "fault" not in result.stdout


def test_names_of_several_lines_stay_on_one(tmp_path: Path) -> None:
    labeled = make_set(tmp_path / "p\n1", ["a\x1b[31m\nb", "c"])
    (tmp_path / "p\n1" / "masks" / "c.png").unlink()
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "v\n1.mp4").write_text("none")
    result = runner.invoke(app, ["--labeled", labeled, "--unlabeled", str(tmp_path / "videos")])
    lines = result.stderr.splitlines()
    assert "\x1b" not in result.output and all(
        line.startswith(("decoding", "warning", "fault", "2 f")) for line in lines
    )
    assert any(line.endswith(r"v\n1.mp4") for line in lines) and any(r"p\n1" in line for line in lines)


def test_json_stands_alone_on_stdout(tmp_path: Path) -> None:
    labeled = make_set(tmp_path / "l", "ab")
    (tmp_path / "l" / "images" / "a.png").write_bytes(b"broken")
    result = runner.invoke(app, ["--labeled", labeled, "--json"])
    assert result.exit_code == 3
    report = json.loads(result.stdout)
    assert report["ok"] is False and [fault["kind"] for fault in report["faults"]] == ["unreadable"]


def test_a_split_file_and_its_root(tmp_path: Path) -> None:
    root = make_set(tmp_path / "l", "abc")
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": {"labeled": ["a"], "unlabeled": ["b"]}, "val": ["c"]}))
    result = runner.invoke(app, ["--split", str(split), "--root", root, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [report[name]["frames"] for name in ("labeled", "unlabeled", "val")] == [1, 1, 1]


def test_contradicting_options_are_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--root"):
        runner.invoke(app, ["--labeled", str(tmp_path), "--root", str(tmp_path)], catch_exceptions=False)
