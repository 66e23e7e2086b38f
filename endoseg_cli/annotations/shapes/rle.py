"""Run lengths: COCO's, down the columns, plain or packed into letters, and CVAT's, along the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from endoseg_cli.annotations.shapes.rings import Bitmap


def run_lengths(pixels: Bitmap) -> list[int]:
    """Return the lengths of a flat mask's runs, the first of background (0 where it begins with foreground)."""
    borders = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], borders, [len(pixels)]])).tolist()
    return [0, *lengths] if len(pixels) and pixels[0] else lengths


@dataclass(frozen=True, kw_only=True)
class RunLengths:
    """A mask as COCO's run lengths."""

    size: tuple[int, int]
    """Height and width."""
    counts: tuple[int, ...]
    """Lengths of runs down the columns, background first."""

    def __post_init__(self) -> None:
        if any(count < 0 for count in self.counts) or sum(self.counts) != self.size[0] * self.size[1]:
            height, width = self.size
            raise ValueError(f"run lengths that add up to {width}x{height} pixels, found {sum(self.counts)}")

    def mask(self) -> Bitmap:
        """Return the mask (H, W)."""
        colours = (np.arange(len(self.counts)) % 2).astype(np.uint8)
        return cv2.transpose(np.repeat(colours, self.counts).reshape(self.size[::-1])).view(np.bool_)


def encode(mask: Bitmap) -> RunLengths:
    """Encode a mask (H, W)."""
    columns = cv2.transpose(mask.view(np.uint8)).view(np.bool_)  # three times as fast as a copy by NumPy
    return RunLengths(size=(mask.shape[0], mask.shape[1]), counts=tuple(run_lengths(columns.ravel())))


def unpack(letters: str) -> list[int]:
    """Decode COCO's packed counts: numbers of 5 bits a letter, from the third on as difference to the last but one.

    Raises ValueError for letters that mean nothing.
    """
    numbers: list[int] = []
    value, shift = 0, 0
    for letter in letters:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"packed run lengths, found {letter!r} in them")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:  # the last letter of a number; its highest bit is the sign
            numbers.append(value - (1 << shift) if bits & 16 else value)
            value, shift = 0, 0
    if shift:
        raise ValueError("packed run lengths, found them cut off")
    return _summed(numbers)


def _summed(numbers: Sequence[int]) -> list[int]:
    counts = list(numbers[:3])
    for number in numbers[3:]:
        counts.append(number + counts[-2])
    return counts


def crop_runs(crop: Bitmap) -> str:
    """Return a region's crop (h, w) as CVAT writes it: run lengths along the rows, background first."""
    return ", ".join(map(str, run_lengths(crop.ravel())))
