"""Small pictures of frames, from the planes that a video stores."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.video.geometry.planes import Planes
from endoseg_cli.video.geometry.rotation import upright

Picture = NDArray[np.uint8]
WIDTH = 256
"""Pixels across a thumbnail: twice what a page shows, for dense screens."""


def from_planes(planes: Planes, rotation: int, pixel_aspect: float = 1.0) -> Picture:
    """Return an upright RGB thumbnail (h, w, 3) of stored planes; `pixel_aspect` is a pixel's width over its height."""
    height, width = planes.y.shape
    scale = min(1.0, WIDTH / max(width * pixel_aspect, 1))
    size = max(round(width * pixel_aspect * scale), 1), max(round(height * scale), 1)
    y, u, v = (
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        for plane in (planes.y, planes.u, planes.v)
    )
    red_weight, blue_weight = planes.colour.luma_weights
    luma, blue_difference, red_difference = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    red = luma + 2 * (1 - red_weight) * red_difference
    blue = luma + 2 * (1 - blue_weight) * blue_difference
    green = (luma - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight)
    rgb = np.clip(np.rint(np.stack([red, green, blue], axis=-1) * 255), 0, 255).astype(np.uint8)
    return upright(rgb, rotation)
