"""Masks that are hard to outline, and frames of them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.annotations.writing.regions import AnnotatedFrame, find_regions

Mask = NDArray[np.bool_]
SIZE = (40, 56)


def disc(radius: int = 9, middle: tuple[int, int] = (30, 18), size: tuple[int, int] = SIZE) -> Mask:
    """Draw a disc around (x, y)."""
    return np.asarray(cv2.circle(np.zeros(size, np.uint8), middle, radius, 1, -1) > 0)


def hard_masks() -> dict[str, Mask]:
    """Return thin, tiny, hollow, touching, full and ragged masks by name."""
    masks = {
        name: np.zeros(SIZE, dtype=np.bool_) for name in ("empty", "pixel", "corners", "row", "diagonal", "touching")
    }
    masks["pixel"][7, 11] = True
    masks["corners"][[0, 0, -1, -1], [0, -1, 0, -1]] = True
    masks["row"][20, 3:50] = True
    masks["row"][5:30, 52] = True
    masks["diagonal"][np.arange(3, 35), np.arange(10, 42)] = True
    masks["touching"][5:10, 5:10] = masks["touching"][10:15, 10:15] = True
    masks["full"] = np.ones(SIZE, dtype=np.bool_)
    masks["ring"] = disc(15) & ~disc(11)
    masks["pinhole"] = disc(12)
    masks["pinhole"][18, 30] = False
    masks["holes"] = disc(17) & ~disc(4, (22, 15)) & ~disc(3, (36, 22)) & ~disc(1, (30, 28))
    masks["island"] = masks["ring"] | disc(4)
    masks["noise"] = np.random.default_rng(5).random(SIZE) < 0.5
    masks["blobs"] = cv2.GaussianBlur(np.random.default_rng(6).random(SIZE), (0, 0), 2.5) > 0.5
    masks["disc"] = disc()
    return masks


def frame_of(mask: Mask, name: str = "a.png", picture: Path | None = None) -> AnnotatedFrame:
    """Return a frame of one class with a probability of 0.75 inside the mask and 0.25 outside."""
    probability = np.where(mask, 0.75, 0.25).astype(np.float32)
    regions = find_regions(mask[None], probability[None])
    size = (mask.shape[0], mask.shape[1])
    return AnnotatedFrame(name=PurePosixPath(name), picture=picture, size=size, regions=regions)
