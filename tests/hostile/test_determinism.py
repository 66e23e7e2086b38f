"""The same input, model and machine: the same masks, whatever the batch size and the number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.conftest import Run
from tests.hostile.processes import digests
from tests.video.rendering import Clip

MOST_LEVELS = {"fp32": 1, "bf16": 1311}
"""By how many of 65,535 levels a probability may differ between batch sizes or numbers of threads; bf16: 0.02."""


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def noise(index: int, size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A picture with something in every pixel."""
    return np.random.default_rng(index).integers(0, 255, (*size, 3), dtype=np.uint8)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_masks_and_tables_do_not_depend_on_batches_or_threads(
    endoseg: Callable[..., Run], render: Callable[[Clip], Path], random_model: Path, tmp_path: Path, precision: str
) -> None:
    clip = render(Clip(name="in.mp4", frames=7, picture=noise))
    found: list[Path] = []
    for batch, threads in ((1, 1), (1, 1), (2, 1), (7, 2), (16, 1)):
        folder = tmp_path / f"run{len(found)}"
        torch.set_num_threads(threads)
        outputs = ("--masks-dir", folder / "m", "--probabilities", folder / "p", "--out", folder / "m.mp4")
        how = ("--weights", random_model, "--device", "cpu", "--precision", precision, "--batch-size", batch)
        run = endoseg("segment", clip, *outputs, *how)
        assert run.code == 0, run.stderr
        found.append(folder)
    assert digests(found[0]) == digests(found[1])  # the same settings: every byte
    for folder in found[2:]:
        if precision == "fp32":
            assert digests(folder / "m") == digests(found[0] / "m")
        for path in (found[0] / "p").glob("*.png"):
            one = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            other = cv2.imread(str(folder / "p" / path.name), cv2.IMREAD_UNCHANGED)
            assert one is not None and other is not None
            assert np.abs(one.astype(np.int64) - other.astype(np.int64)).max() <= MOST_LEVELS[precision]
