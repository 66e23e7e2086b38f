from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.hub.command import exit_code
from tests.networks.authors_unet import random_state


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Give a training checkpoint of two networks."""
    torch.manual_seed(0)
    states = {f"model{number}_state_dict": random_state() for number in (1, 2)}
    torch.save(states, tmp_path / "last.pth")
    return tmp_path / "last.pth"


def test_segment_takes_what_import_writes(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "stones.safetensors"
    assert exit_code("import-weights", checkpoint, "--out", model, "--size", 64, "--licence", "MIT") == 0
    assert capsys.readouterr().out == f"{model}\n"
    assert exit_code("info", model, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["name"], facts["networks"], facts["input_size"], facts["licence"]) == ("stones", 2, [64, 64], "MIT")
    frame = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "frame.png"), frame)
    mask = tmp_path / "mask.png"
    options = ["--weights", model, "--device", "cpu", "--out", mask]
    assert exit_code("segment", tmp_path / "frame.png", *options) == 0
    assert cv2.imread(str(mask), cv2.IMREAD_UNCHANGED).shape == (48, 80)  # type: ignore[union-attr]


def test_an_existing_model_stays_unless_told_otherwise(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.safetensors"
    model.write_text("precious")
    arguments = ["import-weights", checkpoint, "--out", model, "--size", 64]
    assert exit_code(*arguments) == 4
    assert model.read_text() == "precious" and "--overwrite" in capsys.readouterr().err
    assert exit_code(*arguments, "--overwrite", "--half") == 0
    assert model.stat().st_size > 1_000_000


def test_wrong_use(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.pth").write_text("not a checkpoint")
    model = tmp_path / "model.safetensors"
    assert exit_code("import-weights", tmp_path / "text.pth", "--out", model, "--size", 64) == 5
    assert exit_code("import-weights", tmp_path / "none.pth", "--out", model, "--size", 64) == 3
    assert exit_code("import-weights", checkpoint, "--out", tmp_path / "model.pth", "--size", 64) == 2
    assert exit_code("import-weights", checkpoint, checkpoint, "--out", model, "--size", 64) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("error: ") == 4 and "internal" not in err
    assert not model.exists()
