"""The regions of a frame: what annotation files are written from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.annotations.shapes.polygons import Outline, outline
from endoseg_cli.annotations.shapes.rings import Bitmap


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """One 8-connected region of one class."""

    class_index: int
    """The model's class, from 0."""
    score: float
    """Mean probability over the region's pixels."""
    left: int
    """First column."""
    top: int
    """First row."""
    crop: Bitmap
    """(h, w), True in the region, from its first row and column on."""

    @cached_property
    def outline(self) -> Outline:
        """The rims, in pixels of the frame."""
        return outline(self.crop, self.left, self.top)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height."""
        return self.left, self.top, self.crop.shape[1], self.crop.shape[0]

    def mask(self, size: tuple[int, int]) -> Bitmap:
        """Return the region alone in a frame of `size` = (H, W)."""
        mask = np.zeros(size, dtype=np.bool_)
        mask[self.top : self.top + self.crop.shape[0], self.left : self.left + self.crop.shape[1]] = self.crop
        return mask


@dataclass(frozen=True, kw_only=True, eq=False)
class AnnotatedFrame:
    """A frame and its regions."""

    name: PurePosixPath
    """What the frame's picture is called, below the folder of all pictures."""
    picture: Path | None
    """Where that picture lies; None if it is a frame of a video that was not written."""
    size: tuple[int, int]
    """Height and width."""
    regions: tuple[Region, ...]
    """None in a frame without a lesion."""


def find_regions(mask: Bitmap, probability: NDArray[np.float32]) -> tuple[Region, ...]:
    """Return the regions of masks (C, H, W) with probabilities (C, H, W), class by class, from the top down."""
    return tuple(
        region
        for index, (plane, sure) in enumerate(zip(mask, probability, strict=True))
        for region in _of_class(index, plane, sure)
    )


def _of_class(index: int, plane: Bitmap, probability: NDArray[np.float32]) -> list[Region]:
    if not plane.any():
        return []
    count, labels, stats, _ = cv2.connectedComponentsWithStats(plane.view(np.uint8), connectivity=8)
    regions = []
    for number in range(1, count):
        left, top, width, height = (int(value) for value in stats[number, :4])
        window = slice(top, top + height), slice(left, left + width)
        crop = np.asarray(labels[window] == number)
        score = float(probability[window][crop].mean())
        regions.append(Region(class_index=index, score=score, left=left, top=top, crop=crop))
    return regions
