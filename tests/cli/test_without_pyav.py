"""Training and scoring on frames need no PyAV, which some GPU machines lack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.training.small import save_frames

WITHOUT = "import sys; sys.modules['av'] = None; from endoseg_cli.__main__ import main; sys.argv[0] = 'endoseg'; main()"


def endoseg(*arguments: object) -> str:
    command = [sys.executable, "-c", WITHOUT, *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_frames_are_learned_from_and_scored_without_pyav(tmp_path: Path) -> None:
    for name, count, seed in (("l", 3, 0), ("v", 2, 50), ("u", 4, 100)):
        save_frames(tmp_path / name, count, seed)
    data = ("--labeled", tmp_path / "l", "--val", tmp_path / "v", "--unlabeled", tmp_path / "u" / "images")
    network = (
        "--encoder",
        "mobilenet_v2",
        "--decoder-channels",
        "8,8,8,8,8",
        "--encoder-weights",
        "none",
        "--size",
        32,
    )
    steps = ("--batch-size", 2, "--num-passes", 2, "--max-steps", 2, "--no-corrective", "--device", "cpu")
    run = tmp_path / "run"
    endoseg("train", *data, *network, *steps, "--out", run)
    page = ("--report", tmp_path / "r.html", "--redact", "outside-field-of-view", "--redact", "0,0,9,9")
    scored = endoseg("evaluate", "--labeled", tmp_path / "v", "--weights", run, "--device", "cpu", "--json", *page)
    assert "dice" in scored
