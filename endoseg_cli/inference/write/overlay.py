"""Tint and outline lesions; pixels outside the mask keep their value to the bit."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.predict.masks import BinaryMask
from endoseg_cli.inference.predict.predictor import Pixels
from endoseg_cli.video.geometry.colour import BT709, BT2020_CL, BT2020_NCL
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
# weights of red and blue in luma, by H.273 matrix
_BT601_WEIGHTS = (0.299, 0.114)
_LUMA_WEIGHTS = {BT709: (0.2126, 0.0722), BT2020_NCL: (0.2627, 0.0593), BT2020_CL: (0.2627, 0.0593)}

Colour = tuple[int, int, int]
Alpha = NDArray[np.float32]


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
        turned = stored(lesion.view(np.uint8), rotation)
        window = _even_window(turned)
        if window is None:
            continue
        y, u, v = _limited_yuv(config.colours[index % len(config.colours)], planes)
        alpha = _alpha(turned, window, config)
        rows, columns = window
        _blend(planes.y[rows, columns], alpha, y)
        small = alpha.reshape(alpha.shape[0] // 2, 2, alpha.shape[1] // 2, 2)
        whole = np.where(small.min(axis=(1, 3)) > 0, small.max(axis=(1, 3)), np.float32(0))
        half = slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2)
        _blend(planes.u[half], whole, u)
        _blend(planes.v[half], whole, v)
    return planes


def tint_rgb(image: Pixels, mask: BinaryMask, config: OverlayConfig) -> Pixels:
    """Return a copy of a picture (H, W, 3) with the mask (C, H, W) marked."""
    marked = image.copy()
    for index, lesion in enumerate(mask):
        window = _even_window(lesion.view(np.uint8))
        if window is None:
            continue
        rows, columns = (slice(s.start, min(s.stop, side)) for s, side in zip(window, image.shape[:2], strict=True))
        alpha = _alpha(lesion.view(np.uint8), (rows, columns), config)
        for channel, value in enumerate(config.colours[index % len(config.colours)]):
            _blend(marked[rows, columns, channel], alpha, float(value))
    return marked


def _even_window(mask: Pixels) -> tuple[slice, slice] | None:
    """Return the rows and columns that hold the mask, widened to even bounds; None for an empty mask."""
    x, y, width, height = cv2.boundingRect(mask)
    if width == 0:
        return None
    rows = slice(y - y % 2, y + height + (y + height) % 2)
    return rows, slice(x - x % 2, x + width + (x + width) % 2)


def _alpha(mask: Pixels, window: tuple[slice, slice], config: OverlayConfig) -> Alpha:
    """Return the opacity in the window: that of the tint inside the mask, 1 on its rim, 0 outside."""
    rows, columns = window
    height, width = rows.stop - rows.start, columns.stop - columns.start
    inside = mask[rows, columns]
    # an odd picture's last row or column has no partner in the mask; it lies outside
    inside = np.pad(inside, ((0, height - inside.shape[0]), (0, width - inside.shape[1])))
    alpha = inside.astype(np.float32) * np.float32(config.strength)
    if config.contour > 0:
        thickness = max(2, round(config.contour * min(mask.shape)))  # of one pixel, 4:2:0 would colour half
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness + 1, 2 * thickness + 1))
        core = cv2.erode(inside, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        alpha[(inside > 0) & (core == 0)] = 1
    return alpha


def _blend(target: Pixels, alpha: Alpha, value: float) -> None:
    """Mix `value` into `target` in place; where alpha is 0 nothing changes."""
    mixed = target + alpha * (np.float32(value) - target)
    target[...] = np.where(alpha > 0, np.rint(mixed), target).astype(np.uint8)


def _limited_yuv(colour: Colour, planes: Planes) -> tuple[float, float, float]:
    """Return the limited-range Y, U, V of an RGB colour under the planes' matrix."""
    red_weight, blue_weight = _LUMA_WEIGHTS.get(planes.colour.matrix, _BT601_WEIGHTS)
    red, green, blue = (channel / 255 for channel in colour)
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    u = (blue - luma) / (2 * (1 - blue_weight))
    v = (red - luma) / (2 * (1 - red_weight))
    return 16 + 219 * luma, 128 + 224 * u, 128 + 224 * v
