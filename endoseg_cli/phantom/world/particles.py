"""Debris that drifts before the camera: dust of a stone, shreds, small bubbles."""

from __future__ import annotations

import cv2
import numpy as np

from endoseg_cli.phantom.world.camera import Lens
from endoseg_cli.phantom.world.tables import Array, blurred


def drifting_specks(lens: Lens, size: tuple[int, int], count: int, seed: int, time: float) -> Array:
    """Light (H, W) of `count` specks at a time in seconds, out of focus when near."""
    height, width = size
    rng = np.random.default_rng([seed, 77])
    place = rng.uniform(-1, 1, (count, 3))
    velocity = rng.normal(0, 0.12, (count, 3)) + rng.normal(0, 0.15, 3)
    brightness, bulk = rng.uniform(0.15, 0.9, count), rng.uniform(0.002, 0.008, count)
    place = np.mod(place + velocity * time + 1, 2) - 1
    depth = 0.25 + 0.45 * (place[:, 2] + 1)
    reach = max(lens.half_pixels(size)) / lens.half_angle
    sharp, soft = np.zeros(size, np.float32), np.zeros(size, np.float32)
    for index in range(count):
        centre = np.arctan2(place[index, :2], depth[index]) * reach
        centre += (lens.centre[0] * width, lens.centre[1] * height)
        radius = max(0.5, bulk[index] * reach / depth[index])
        layer = soft if depth[index] < 0.4 else sharp
        fixed = tuple(int(value) for value in np.round(centre * 8))
        value = float(brightness[index] / (0.4 + depth[index] ** 2))
        cv2.circle(layer, fixed, round(radius * 8), value, -1, cv2.LINE_8, 3)
    unit = max(size) / 256
    return blurred(sharp, 0.6 * unit) + blurred(soft, 2.2 * unit)
