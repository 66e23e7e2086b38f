"""Colour transfer: a frame in the colours of another one, as another endoscope or light would show it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

SPREAD = (0.6, 1.6)
"""Smallest and largest factor of a channel's spread: more would be noise, less a fog."""


def in_colours_of(frame: Picture, other: Picture) -> Picture:
    """Return `frame` (h, w, 3) RGB with the mean and the spread of `other`'s colours in CIE Lab (Reinhard et al. 2001).

    Not in Endo-SemiS. No pixel moves, so that a mask stays right.
    """
    own = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2LAB).astype(np.float32)
    wanted = cv2.cvtColor(np.ascontiguousarray(other[::4, ::4]), cv2.COLOR_RGB2LAB).astype(np.float32)
    factor = np.clip(wanted.std(axis=(0, 1)) / (own.std(axis=(0, 1)) + 1e-3), *SPREAD)
    moved = (own - own.mean(axis=(0, 1))) * factor + wanted.mean(axis=(0, 1))
    return np.asarray(cv2.cvtColor(np.rint(moved.clip(0, 255)).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)
