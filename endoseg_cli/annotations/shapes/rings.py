"""The rims of a mask as rings of corner points, exactly along the pixels' edges.

Coordinates everywhere in this room count from the picture's upper left corner: pixel (row i, column j) covers the
square from (j, i) to (j + 1, i + 1), as COCO, LabelMe and CVAT have it. A region of one pixel is a ring of four points.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Bitmap = NDArray[np.bool_]  # (H, W)
Ring = NDArray[np.float64]  # (N, 2), x and y; the last point joins the first


def trace_rings(mask: Bitmap) -> list[Ring]:
    """Return every rim of a mask (H, W): outer ones clockwise on the screen, those of holes anticlockwise.

    Pixels that touch at a corner belong together (8-connected), so each region has one outer ring.
    """
    # OpenCV walks along the middles of pixels, here of their quarters: halved and rounded up these are the corners
    quarters = cv2.resize(mask.view(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(quarters, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = []
    for contour in contours:
        corners = (np.concatenate([contour[:1], contour[:0:-1]])[:, 0] + 1) // 2
        moved = np.diff(corners, axis=0, prepend=corners[-1:]).any(axis=1)
        rings.append(corners[moved].astype(np.float64))
    return rings


def signed_area(ring: Ring) -> float:
    """Return the enclosed area in pixels, positive for an outer ring of `trace_rings`, negative for a hole's."""
    x, y = ring.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)
