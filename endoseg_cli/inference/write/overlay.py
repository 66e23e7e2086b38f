"""Tint and outline lesions; pixels outside the mask keep their value to the bit."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.predict.masks import BinaryMask
from endoseg_cli.inference.predict.predictor import Pixels
from endoseg_cli.video.geometry.planes import Planes
from endoseg_cli.video.geometry.rotation import stored

NAMED_COLOURS = {
    "green": (0, 230, 60),
    "cyan": (0, 220, 255),
    "yellow": (255, 225, 0),
    "magenta": (255, 0, 200),
    "blue": (40, 90, 255),
    "red": (255, 30, 30),
    "white": (255, 255, 255),
}

Colour = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class OverlayConfig:
    """How lesions are marked."""

    strength: float = 0.3
    """Opacity of the tint, 0 (outline only) to 1."""
    colours: tuple[Colour, ...] = tuple(NAMED_COLOURS.values())
    """RGB of each class, repeated if there are more classes."""
    contour: float = 0.004
    """Width of the outline as a share of the picture's shorter side, at least two pixels; 0 for none."""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise UsageError(f"--overlay-strength must lie between 0 and 1, found {self.strength:g}")
        if not 0 <= self.contour <= 0.2:
            raise UsageError(f"--overlay-contour must lie between 0 and 0.2, found {self.contour:g}")


def parse_colour(text: str) -> Colour:
    """Read a colour name or #rrggbb as RGB; raises UsageError for anything else."""
    if text.lower() in NAMED_COLOURS:
        return NAMED_COLOURS[text.lower()]
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
    raise UsageError(
        f"--overlay-color {text} is not a colour", hint=f"use {', '.join(NAMED_COLOURS)}, or #rrggbb in hexadecimal"
    )


def tint_planes(planes: Planes, mask: BinaryMask, rotation: int, config: OverlayConfig) -> Planes:
    """Mark the mask (C, H, W), upright, in a stored picture's planes, in place, and return them.

    A chroma sample colours four pixels, so it is changed only where all four lie in the mask: what lies outside keeps
    its luma and its chroma.
    """
    for index, lesion in enumerate(mask):
        turned = stored(lesion.view(np.uint8), rotation) if rotation else lesion.view(np.uint8)
        window = _even_window(turned)
        if window is None:
            continue
        y, u, v = _limited_yuv(config.colours[index % len(config.colours)], planes)
        marks = _marks(turned, window, config)
        rows, columns = window
        _blend(planes.y[rows, columns], marks, y)
        small = marks.halved()
        half = slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2)
        _blend(planes.u[half], small, u)
        _blend(planes.v[half], small, v)
    return planes


def tint_rgb(image: Pixels, mask: BinaryMask, config: OverlayConfig) -> Pixels:
    """Return a copy of a picture (H, W, 3) with the mask (C, H, W) marked."""
    marked = image.copy()
    for index, lesion in enumerate(mask):
        window = _even_window(lesion.view(np.uint8))
        if window is None:
            continue
        rows, columns = (slice(s.start, min(s.stop, side)) for s, side in zip(window, image.shape[:2], strict=True))
        marks = _marks(lesion.view(np.uint8), (rows, columns), config)
        for channel, value in enumerate(config.colours[index % len(config.colours)]):
            _blend(marked[rows, columns, channel], marks, float(value))
    return marked


@dataclass(frozen=True, kw_only=True, eq=False)
class _Marks:
    """What is marked in a window of a picture."""

    tint: Pixels
    """(h, w), 1 inside the mask, else 0; the rim is part of it."""
    rim: Pixels
    """(h, w), 1 on the mask's rim, else 0."""
    strength: float
    """Opacity of the tint; that of the rim is 1."""

    def halved(self) -> _Marks:
        """Return the marks of a plane of half the size: a sample is marked only where all its four pixels are."""
        marked = self.tint if self.strength > 0 else self.rim
        whole = marked[::2, ::2] & marked[1::2, ::2] & marked[::2, 1::2] & marked[1::2, 1::2]
        any_rim = self.rim[::2, ::2] | self.rim[1::2, ::2] | self.rim[::2, 1::2] | self.rim[1::2, 1::2]
        return _Marks(tint=whole, rim=whole & any_rim, strength=self.strength)


def _even_window(mask: Pixels) -> tuple[slice, slice] | None:
    """Return the rows and columns that hold the mask, widened to even bounds; None for an empty mask."""
    x, y, width, height = cv2.boundingRect(mask)
    if width == 0:
        return None
    rows = slice(y - y % 2, y + height + (y + height) % 2)
    return rows, slice(x - x % 2, x + width + (x + width) % 2)


def _marks(mask: Pixels, window: tuple[slice, slice], config: OverlayConfig) -> _Marks:
    """Return what of a window is inside the mask, and what on its rim."""
    rows, columns = window
    height, width = rows.stop - rows.start, columns.stop - columns.start
    inside = mask[rows, columns]
    if inside.shape != (height, width):
        # an odd picture's last row or column has no partner in the mask; it lies outside
        inside = np.pad(inside, ((0, height - inside.shape[0]), (0, width - inside.shape[1])))
    rim = np.zeros_like(inside)
    if config.contour > 0:
        thickness = max(2, round(config.contour * min(mask.shape)))  # of one pixel, 4:2:0 would colour half
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness + 1, 2 * thickness + 1))
        core = cv2.erode(inside, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        rim = inside ^ np.asarray(core, np.uint8)
    return _Marks(tint=inside, rim=rim, strength=config.strength)


def _blend(target: Pixels, marks: _Marks, value: float) -> None:
    """Mix `value` into `target` in place; what is not marked does not change."""
    levels = np.arange(256, dtype=np.float32)
    mixed = np.rint(levels + np.float32(marks.strength) * (np.float32(value) - levels)).astype(np.uint8)
    np.copyto(target, cv2.LUT(target, mixed), where=marks.tint.view(np.bool_))
    np.copyto(target, np.rint(np.float32(value)).astype(np.uint8), where=marks.rim.view(np.bool_))


def _limited_yuv(colour: Colour, planes: Planes) -> tuple[float, float, float]:
    """Return the limited-range Y, U, V of an RGB colour under the planes' matrix."""
    red_weight, blue_weight = planes.colour.luma_weights
    red, green, blue = (channel / 255 for channel in colour)
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    u = (blue - luma) / (2 * (1 - blue_weight))
    v = (red - luma) / (2 * (1 - red_weight))
    return 16 + 219 * luma, 128 + 224 * u, 128 + 224 * v
