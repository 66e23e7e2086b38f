from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.networks.files.bundle import load_bundle
from endoseg_cli.networks.files.export_formats import open_onnx
from tests.conftest import Run

Endoseg = Callable[..., Run]


def test_the_file_gives_what_segment_computes(endoseg: Endoseg, random_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    run = endoseg("export", "--weights", random_model, "--format", "onnx", "--out", out)
    assert (run.code, run.stdout) == (0, f"{out}\n"), run.stderr
    assert "image: float32 (N, 3, 64, 64), RGB, 0 to 255" in run.stderr and "largest difference" in run.stderr
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    expected = Predictor(load_bundle(random_model), device="cpu").predict(list(frames))
    found = open_onnx(out)(torch.from_numpy(frames).permute(0, 3, 1, 2).float().contiguous())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_an_existing_file_stays_unless_told_otherwise(endoseg: Endoseg, random_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.pt"
    out.write_text("precious")
    arguments = ("export", "--weights", random_model, "--format", "torchscript", "--out", out)
    refused = endoseg(*arguments)
    assert refused.code == 4 and "--overwrite" in refused.stderr and out.read_text() == "precious"
    assert endoseg(*arguments, "--overwrite").code == 0
    assert out.stat().st_size > 1_000_000


def test_wrong_use(endoseg: Endoseg, random_model: Path, tmp_path: Path) -> None:
    wrong_ending = endoseg("export", "--weights", random_model, "--format", "torchscript", "--out", tmp_path / "m.onnx")
    assert wrong_ending.code == 2 and ".pt" in wrong_ending.stderr
    assert endoseg("export", "--weights", "no-such-model", "--out", tmp_path / "m.onnx").code == 5
    assert endoseg("export", "--format", "tflite", "--out", tmp_path / "m.tflite").code == 2
    assert not list(tmp_path.iterdir())
