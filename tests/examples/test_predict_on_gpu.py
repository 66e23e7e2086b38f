"""The script for a machine with a GPU, on the CPU: it compares and times all that it names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.networks.tiny import save_to, tiny_bundle, with_corrective

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "predict_on_gpu.py"


def test_it_compares_a_device_with_the_cpu_and_times_what_it_does(tmp_path: Path) -> None:
    model = save_to(tmp_path, with_corrective(tiny_bundle()))
    words = ("--device", "cpu", "--weights", model, "--frames", "5", "--batches", "1", "3", "--seconds", "0.01")
    command = [sys.executable, str(SCRIPT), *map(str, words), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "FAILED" not in done.stdout
    found = json.loads((tmp_path / "out" / "predict-on-gpu.json").read_text())
    same = {"largest difference": 0.0, "mean Dice of the masks": 1.0, "frames drawn in one alone": 0}
    assert found["agreement fp32"] == {"networks": same, "corrective network": same}
    assert 0 < found["agreement bf16"]["networks"]["largest difference"] < 0.1
    for name in ("plain loop", "predictor, batches of 1", "predictor, batches of 3"):
        assert found[name]["frames_per_second"] > 0, name
    for name in ("predictor, batches of 1", "predictor, batches of 3"):
        assert found[name]["one by one"]["frames_per_second"] > 0 and not found[name]["as a CUDA graph"]
    parts = {"batch", "upload and normalise", "forward", "forward, nearest upsampling", "download", "presence"}
    assert set(found["parts bf16"]) == parts


def test_what_fails_is_told_and_stops_nothing(tmp_path: Path) -> None:
    model = save_to(tmp_path, tiny_bundle())
    words = ("--device", "cpu", "--weights", model, "--frames", "5", "--batches", "0", "1", "--seconds", "0.01")
    command = [sys.executable, str(SCRIPT), *map(str, words), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "failed: predictor, batches of 0\n"
    assert "batches of 0: FAILED: UsageError: --batch-size must be 1 to 4096, found 0" in done.stdout
    found = json.loads((tmp_path / "out" / "predict-on-gpu.json").read_text())
    assert found["predictor, batches of 0"] is None and found["predictor, batches of 1"] is not None
