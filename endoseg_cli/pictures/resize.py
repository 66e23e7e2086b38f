"""Resize pictures and masks: the one way in which every part of endoseg does it."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

MaskType = TypeVar("MaskType", np.uint8, np.bool_)


def resize_frame(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Squeeze or stretch a whole frame (h, w, 3) to `size` = (H, W), averaging where it shrinks.

    Training and prediction both resize by this function, so that a network meets the same textures in both.
    """
    height, width = size
    shrunk = (min(width, image.shape[1]), min(height, image.shape[0]))
    if shrunk != (image.shape[1], image.shape[0]):
        image = _as_uint8(cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA))
    if shrunk != (width, height):
        image = _as_uint8(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))
    return image


def resize_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask (h, w) at `size` = (H, W) by nearest neighbour; one that has this size comes back itself."""
    if mask.shape == size:
        return mask
    resized = cv2.resize(mask.view(np.uint8), (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    return _as_uint8(resized).view(np.bool_)


def _as_uint8(picture: object) -> NDArray[np.uint8]:
    """Give OpenCV's result the dtype that its type stubs leave open."""
    return np.asarray(picture, dtype=np.uint8)
