"""The rims of a mask as rings of corner points, exactly along the pixels' edges.

Coordinates everywhere in this room count from the picture's upper left corner: pixel (row i, column j) covers the
square from (j, i) to (j + 1, i + 1), as COCO, LabelMe and CVAT have it. A region of one pixel is a ring of four points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bitmap = NDArray[np.bool_]  # (H, W)
Ring = NDArray[np.float64]  # (N, 2), x and y; the last point joins the first

_ROW_STEPS = np.array([0, 1, 0, -1])  # right, down, left, up
_COLUMN_STEPS = np.array([1, 0, -1, 0])


def trace_rings(mask: Bitmap) -> list[Ring]:
    """Return every rim of a mask (H, W): outer ones clockwise on the screen, those of holes anticlockwise.

    Pixels that touch at a corner belong together (8-connected), so each region has one outer ring.
    """
    leaving = _edges_leaving_corners(mask)
    direction, row, column = np.nonzero(leaving)
    following = _following(leaving, direction, row, column).tolist()
    turned = np.empty(len(direction), dtype=bool)
    turned[following] = direction[following] != direction
    points = np.stack([column, row], axis=1).astype(np.float64)
    rings = []
    seen = bytearray(len(direction))
    for start in range(len(direction)):
        if not seen[start]:
            walk = _walk(start, following, seen)
            rings.append(points[[edge for edge in walk if turned[edge]]])
    return rings


def signed_area(ring: Ring) -> float:
    """Return the enclosed area in pixels, positive for an outer ring of `trace_rings`, negative for a hole's."""
    x, y = ring.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def _edges_leaving_corners(mask: Bitmap) -> NDArray[np.bool_]:
    """Say for each direction and pixel corner, (4, H + 1, W + 1), whether a rim leaves there, the mask on its right."""
    padded = np.pad(mask, 1)
    above_left, above_right = padded[:-1, :-1], padded[:-1, 1:]
    below_left, below_right = padded[1:, :-1], padded[1:, 1:]
    return np.stack(
        [
            below_right & ~above_right,
            below_left & ~below_right,
            above_left & ~below_left,
            above_right & ~above_left,
        ]
    )


def _following(
    leaving: NDArray[np.bool_], direction: NDArray[np.intp], row: NDArray[np.intp], column: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return the index of the edge that follows each edge; where two rims meet, the left turn joins both regions."""
    index = np.full(leaving.shape, -1, dtype=np.intp)
    index[direction, row, column] = np.arange(len(direction))
    end = row + _ROW_STEPS[direction], column + _COLUMN_STEPS[direction]
    left, ahead, right = (index[(direction + turn) % 4, *end] for turn in (-1, 0, 1))
    return np.asarray(np.where(left >= 0, left, np.where(ahead >= 0, ahead, right)), dtype=np.intp)


def _walk(start: int, following: list[int], seen: bytearray) -> list[int]:
    walk = []
    edge = start
    while not seen[edge]:
        seen[edge] = 1
        walk.append(edge)
        edge = following[edge]
    return walk
