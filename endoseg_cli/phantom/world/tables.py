"""Bilinear look-up in tables and tiles at scattered points, with OpenCV's remap as the fast engine."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_ROW = 256  # remap wants pictures, and none of their sides may exceed 32767


def sample_table(table: Array, x: Array, y: Array, *, wrap: bool = False) -> Array:
    """Read `table` (H, W) or (H, W, C) at `x`, `y` (N,) in texels; returns (N,) or (N, C).

    Outside, the edge is repeated; with `wrap` the table is a tile that repeats in both directions.
    """
    count = x.shape[0]
    if count == 0:
        return np.zeros((0, *table.shape[2:]), np.float32)
    border = cv2.BORDER_WRAP if wrap else cv2.BORDER_REPLICATE
    values = cv2.remap(table, _as_picture(x), _as_picture(y), cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(values, np.float32).reshape(-1, *table.shape[2:])[:count]


def _as_picture(values: Array) -> Array:
    rows = -(-values.shape[0] // _ROW)
    padded = np.zeros(rows * _ROW, np.float32)
    padded[: values.shape[0]] = values
    return padded.reshape(rows, _ROW)


def blurred(values: Array, sigma: float) -> Array:
    """Blur (H, W) or (H, W, C) with a Gaussian of `sigma` pixels; nearly none leaves it as it is."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32) if sigma >= 0.2 else values


def smooth_step(low: float, high: float, values: Array) -> Array:
    """0 below `low`, 1 above `high`, a cubic between."""
    ramp = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def unit(vectors: Array) -> Array:
    """Vectors (3, ...) divided by their lengths."""
    return np.asarray(vectors / np.sqrt((vectors * vectors).sum(axis=0) + np.float32(1e-12)), np.float32)
