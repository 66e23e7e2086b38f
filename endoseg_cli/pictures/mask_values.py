"""Which pixels of a decoded mask are foreground, whatever way of writing a mask was used."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

GREY = (32, 223)
"""Between these a value is neither near 0 nor near 255: a blurred edge, or something that is not a binary mask."""
EDGE_WIDTH = 9
"""A grey region that holds a square of this many pixels is no edge."""
JPEG_NOISE_WIDTH = 17
"""JPEG noise lives in 8x8 blocks along an edge; a wider even region of low values is a class id."""
HALF = 127


def foreground_mask(pixels: NDArray[np.uint8], *, lossy: bool) -> NDArray[np.bool_] | None:
    """Return the foreground of a mask picture as (H, W), or None where it does not say which pixels that is.

    `pixels` (H, W, 3). Understood are 0/1, 0 and one value above half (palettes come as colours), one colour on
    black, and 0/255 with grey edges. None for class ids, grey regions and several colours. `lossy` says that the
    file came from JPEG, where low values near an edge are noise.
    """
    levels = brightest_channel(pixels)
    found = np.flatnonzero(np.bincount(levels.ravel(), minlength=256))
    if found[-1] <= 1:
        return np.asarray(levels == 1)
    if found[-1] <= HALF or _has_several_colours(pixels):
        return None
    if len(found) == 2 and found[0] == 0:
        return np.asarray(levels > 0)
    if _holds_square((levels >= GREY[0]) & (levels <= GREY[1]), EDGE_WIDTH):
        return None
    if not lossy and _holds_square((levels > 0) & (levels < GREY[0]), JPEG_NOISE_WIDTH):
        return None
    return np.asarray(levels > HALF)


def brightest_channel(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reduce (H, W, 3) to (H, W): a grey mask to its values, a coloured one to the strength of its colour."""
    first, second, third = cv2.split(pixels)
    return np.asarray(cv2.max(cv2.max(first, second), third), dtype=np.uint8)


def describe_values(pixels: NDArray[np.uint8]) -> str:
    """Name the values (or colours, as R,G,B) of a mask picture (H, W, 3) RGB and the share of pixels of each."""
    if np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2]):
        values, counts = np.unique(pixels[..., 0], return_counts=True)
        names = [str(value) for value in values]
    else:
        values, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
        names = ["({}, {}, {})".format(*value) for value in values]
    order = np.argsort(-counts, kind="stable")[:8]
    shares = ", ".join(f"{names[i]} in {100 * counts[i] / counts.sum():.1f} %" for i in sorted(order))
    kind = "value" if len(names) == 1 else f"{len(names)} values"
    return f"{kind} {shares}" if len(names) <= 8 else f"{kind}, the commonest {shares}"


def _has_several_colours(pixels: NDArray[np.uint8]) -> bool:
    """True where regions of different colours are bright: several classes, and no word which of them is meant."""
    bright = [np.asarray(channel > HALF, dtype=np.uint8) for channel in cv2.split(pixels)]
    code = bright[0] | bright[1] << 1 | bright[2] << 2
    codes = [value for value in np.flatnonzero(np.bincount(code.ravel(), minlength=8)) if value]
    return len(codes) > 1 and sum(_holds_square(code == value, 5) for value in codes) > 1


def _holds_square(region: NDArray[np.bool_], width: int) -> bool:
    """True if a width x width square fits into the region (pixels beyond the border count as region)."""
    eroded = cv2.erode(region.astype(np.uint8), np.ones((width, width), np.uint8))
    return bool(eroded.any())
