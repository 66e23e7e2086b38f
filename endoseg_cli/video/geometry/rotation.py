"""Between the stored picture and the upright one that a viewer sees (some recorders store pictures turned).

How a picture is turned is one number: degrees counter-clockwise, 0, 90, 180 or 270, and MIRRORED more where it is then
mirrored left to right. These are all eight orientations that a display matrix or EXIF can give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

Pixels = NDArray[np.uint8]
MIRRORED = 360
"""Added to the degrees of a picture that is mirrored left to right after it is turned."""
_TURNS = {
    (1, 0, 0, 1): 0,
    (0, -1, 1, 0): 90,
    (-1, 0, 0, -1): 180,
    (0, 1, -1, 0): 270,
    (-1, 0, 0, 1): MIRRORED,
    (0, -1, -1, 0): MIRRORED + 90,
    (1, 0, 0, -1): MIRRORED + 180,
    (0, 1, 1, 0): MIRRORED + 270,
}
"""The first two columns and rows of a display matrix, and the turn that they stand for."""


def turn_of(frame: av.VideoFrame) -> int:
    """Return how a frame is to be turned, from its display matrix; slanted ones count as the nearest quarter."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is not None:
        matrix = np.frombuffer(bytes(data), np.int32)  # type: ignore[call-overload]
        values = matrix[[0, 1, 3, 4]].astype(np.float64)
        scaled = np.rint(values / max(np.abs(values).max(), 1)).astype(int).tolist()
        found = _TURNS.get((scaled[0], scaled[1], scaled[2], scaled[3]))
        if found is not None:
            return found
    return quarter_turns(frame.rotation) * 90


def quarter_turns(rotation: int) -> int:
    """Return how many counter-clockwise quarter turns make the stored picture upright, from degrees."""
    return round(rotation / 90) % 4


def is_mirrored(rotation: int) -> bool:
    """Whether the picture is mirrored as well."""
    return rotation >= MIRRORED


def upright(stored: Pixels, rotation: int) -> Pixels:
    """Turn a stored picture, (H, W) or (H, W, C), counter-clockwise by `rotation` degrees, into memory of its own."""
    turned = np.rot90(stored, k=quarter_turns(rotation))
    return np.array(turned[:, ::-1] if is_mirrored(rotation) else turned, order="C")


def stored(upright: Pixels, rotation: int) -> Pixels:
    """Turn an upright picture back to the stored orientation; the inverse of `upright`."""
    plain = upright[:, ::-1] if is_mirrored(rotation) else upright
    return np.ascontiguousarray(np.rot90(plain, k=-quarter_turns(rotation)))
