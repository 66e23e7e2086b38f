"""Find the endoscope's picture within a frame: what lies around it is black border, text or a second picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

PixelType = TypeVar("PixelType", bound=np.generic)
SIDE = 256
"""Frames are looked at with their longer side shrunk to this many pixels."""
DARK = 20
"""Pixels whose brightest channel is at most this, of 255, may belong to the border."""
GREEN = 20
"""By how much green must exceed red, of 255, for a pixel to be of a panel rather than of tissue."""
SMALLEST_SHARE = 0.15
"""A picture that fills less of the frame than this is not believed."""
WHOLE = 0.97
"""A picture that fills this much of a side fills it whole."""


@dataclass(frozen=True, kw_only=True)
class FieldOfView:
    """The box of the endoscope's picture, in pixels of the frame."""

    x: int
    """Left column."""
    y: int
    """Top row."""
    width: int
    """Columns."""
    height: int
    """Rows."""

    def crop(self, picture: NDArray[PixelType]) -> NDArray[PixelType]:
        """Return this part of a picture or mask (h, w, ...), a view."""
        return picture[self.y : self.y + self.height, self.x : self.x + self.width]


def parse_box(text: str) -> FieldOfView | None:
    """Read X,Y,W,H, whole numbers of pixels; None for anything else, and for a box without an area."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):
        return None
    x, y, width, height = map(int, parts)
    return FieldOfView(x=x, y=y, width=width, height=height) if width > 0 and height > 0 else None


def whole_frame(height: int, width: int) -> FieldOfView:
    """Return the box of a whole frame."""
    return FieldOfView(x=0, y=0, width=width, height=height)


def believed_field_of_view(image: NDArray[np.uint8]) -> FieldOfView | None:
    """Return what `find_field_of_view` finds in a frame (h, w, 3) RGB, or None where it is too small to be believed."""
    return believed_box(shrunk_frame(image), (image.shape[0], image.shape[1]))


def believed_box(small: NDArray[np.uint8], size: tuple[int, int]) -> FieldOfView | None:
    """Return what `believed_field_of_view` finds in a frame of `size` = (height, width), shrunk by `shrunk_frame`."""
    box = _largest_box(_bright(small))
    return None if box is None else _to_frame(box, *size)


def find_field_of_view(image: NDArray[np.uint8]) -> FieldOfView:
    """Return the box of the endoscope's picture in one frame (h, w, 3) RGB.

    The largest connected bright area counts, without strokes as thin as text; a frame in which it is too small to be
    believed, such as a dark one, is taken whole.
    """
    height, width = image.shape[:2]
    return _to_frame(_largest_box(_bright(shrunk_frame(image))), height, width)


def shrunk_frame(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame (h, w, 3) as it is looked at: its longer side shrunk to `SIDE` pixels, a smaller one as it is."""
    height, width = image.shape[:2]
    scale = min(SIDE / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _bright(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return where a shrunk frame is brighter than a border, 0 or 1."""
    pixels = np.asarray(small, np.int16)
    # tissue is never green; the inset that shows where the endoscope lies is, and touches the picture
    is_green = pixels[..., 1] > pixels[..., 0] + GREEN
    bright = ((pixels.max(axis=2) > DARK) & ~is_green).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)), np.uint8)


def _largest_box(bright: NDArray[np.uint8]) -> tuple[float, float, float, float] | None:
    """Return (left, top, right, bottom) of the largest area as fractions of the frame, or None if it is too small."""
    joined = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    inside = labels == largest
    # rows and columns of which hardly anything is inside are bleeding edges or tails of text
    rows, columns = inside.sum(axis=1), inside.sum(axis=0)
    row = np.flatnonzero(rows > 0.12 * rows.max())
    column = np.flatnonzero(columns > 0.12 * columns.max())
    top, bottom, left, right = row[0], row[-1] + 1, column[0], column[-1] + 1
    height, width = bright.shape
    if (bottom - top) * (right - left) < SMALLEST_SHARE * height * width:
        return None
    return left / width, top / height, right / width, bottom / height


def _to_frame(box: tuple[float, float, float, float] | None, height: int, width: int) -> FieldOfView:
    if box is None:
        return whole_frame(height, width)
    left, top, right, bottom = box
    if right - left > WHOLE:
        left, right = 0.0, 1.0
    if bottom - top > WHOLE:
        top, bottom = 0.0, 1.0
    x, y = round(left * width), round(top * height)
    return FieldOfView(x=x, y=y, width=max(round(right * width) - x, 1), height=max(round(bottom * height) - y, 1))
