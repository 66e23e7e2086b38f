"""Between the stored picture and the upright one that a viewer sees (some recorders store pictures turned)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def quarter_turns(rotation: int) -> int:
    """Return how many counter-clockwise quarter turns make the stored picture upright, from degrees."""
    return round(rotation / 90) % 4


def upright(stored: Pixels, rotation: int) -> Pixels:
    """Turn a stored picture, (H, W) or (H, W, C), counter-clockwise by `rotation` degrees, into memory of its own."""
    return np.array(np.rot90(stored, k=quarter_turns(rotation)), order="C")


def stored(upright: Pixels, rotation: int) -> Pixels:
    """Turn an upright picture back to the stored orientation; the inverse of `upright`."""
    return np.ascontiguousarray(np.rot90(upright, k=-quarter_turns(rotation)))
