"""The outline of the endoscope's picture: mostly a circle, or a box without corners, where recorders write names."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.pictures.field_of_view import DARK, shrunk_frame

Part = NDArray[np.bool_]
"""(h, w), True where the endoscope's picture is, of a frame whose longer side was shrunk to `SIDE` pixels."""
SPECK = 5
"""Bright spots thinner than this many of these pixels are text."""
TAIL = 0.06
"""What sticks out of the picture and is narrower than twice this share of the shorter side does not belong to it."""


def visible_part(image: NDArray[np.uint8]) -> Part | None:
    """Return the convex outline of the largest bright area of a frame (h, w, 3) RGB, None where there is none.

    Unlike the box of `find_field_of_view`, it takes green for tissue, as dyed tissue is: a panel that touches the
    picture may be in it.
    """
    bright = (shrunk_frame(image).max(axis=2) > DARK).astype(np.uint8)
    opened = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((SPECK, SPECK), np.uint8))
    joined = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=4)
    if count < 2:
        return None
    largest = np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))
    rows, columns = np.nonzero(_without_tails(largest.astype(np.uint8)))
    if not len(rows):
        return None
    part = np.zeros(bright.shape, np.uint8)
    corners = cv2.convexHull(np.column_stack([columns, rows]).astype(np.int32))
    cv2.fillConvexPoly(part, np.asarray(corners, np.int32), 1)
    return np.asarray(cv2.dilate(part, np.ones((3, 3), np.uint8))).astype(np.bool_)


def common_part(parts: Sequence[Part]) -> Part | None:
    """Return what at least half of several frames of one size show, None without any."""
    if not parts:
        return None
    return np.asarray(2 * np.sum(parts, axis=0, dtype=np.int64) >= len(parts))


def enlarged(part: Part, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a part at the size (height, width) of the frames, with all pixels that it reaches into."""
    large = cv2.resize(part.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large > 0)


def _without_tails(area: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Open an area by a disc; what touches the frame's edge goes on behind it."""
    radius = max(3, round(TAIL * min(area.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    padded = cv2.copyMakeBorder(area, radius, radius, radius, radius, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.morphologyEx(padded, cv2.MORPH_OPEN, disc)[radius:-radius, radius:-radius], np.uint8)
