"""Read YOLO segmentation labels as masks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from endoseg_cli.annotations.reading.labels import PictureLabels, parse_points, read_file
from endoseg_cli.annotations.shapes.rings import Ring
from endoseg_cli.errors import InputError

LONGEST_LABEL = 1 << 20
"""Bytes of a label file at most; a longer text is something else."""
FURTHEST_SHARE = 1.5
"""Outlines may overshoot their picture a little; beyond this they count in pixels."""
_LINE = re.compile(r"\d+( +-?\d+(\.\d*)?([eE][+-]?\d+)?)+ *$")


def is_yolo(path: Path) -> bool:
    """Whether a text file is laid out as YOLO's labels: a class and numbers on each line, or empty."""
    try:
        if path.stat().st_size > LONGEST_LABEL:
            return False
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return all(_LINE.match(line.replace("\t", " ")) for line in lines if line.strip())


def read_yolo(path: Path, size: tuple[int, int]) -> PictureLabels:
    """Read the labels of one picture of `size` = (H, W); all classes count as lesion, an empty file has none.

    Raises MissingInputError or InputError, also for boxes, which say nothing of a lesion's outline.
    """
    try:
        lines = read_file(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path}: {error}") from error
    rings: list[Ring] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            shares = parse_points(line.split()[1:])
            if len(shares) < 3:
                raise ValueError("an outline of three points or more, found a box or fewer points")
            if (abs(shares) > FURTHEST_SHARE).any():
                raise ValueError(f"shares of the picture, 0 to 1, found {abs(shares).max():g}")
        except ValueError as error:
            raise InputError(
                f"expected {error} (line {number}): {path}", hint="give labels of YOLO for segmentation"
            ) from None
        rings.append(shares * np.array([size[1], size[0]]))
    return PictureLabels(name=path.stem, size=size, rings=tuple(rings), runs=())
