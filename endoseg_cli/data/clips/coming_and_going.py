"""Lesions that rightly come and go: the camera turns away and back or jolts, folds and instruments pass in front."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Masks = NDArray[np.bool_]
AWAY_SHARE, JOLT_SHARE, FRONT_SHARE = 0.2, 0.25, 0.25
"""Share of the clips in which the camera turns away and back, jolts, or in which something passes in front."""
AWAY, JOLT = (0.4, 0.9), (0.1, 0.3)
"""How far, of the picture's side."""


def draw_shifts(frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how far a camera shifts besides its smooth motion, (N, 2) in parts of the side: often not at all."""
    chance = rng.random()
    if chance < AWAY_SHARE:
        return away_and_back(frames, rng)
    if chance < AWAY_SHARE + JOLT_SHARE:
        return jolt(frames, rng)
    return np.zeros((frames, 2))


def away_and_back(frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return shifts (N, 2) of a camera that turns away for a part of the clip and comes back."""
    middle, width = rng.uniform(0.3, 0.7), rng.uniform(0.15, 0.3)
    bump = np.exp(-(((np.linspace(0, 1, frames) - middle) / width) ** 2))
    return bump[:, None] * _direction(rng) * rng.uniform(*AWAY)


def jolt(frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return shifts (N, 2) that jump from one frame to the next by more than a smooth motion ever does."""
    after = np.arange(frames) >= rng.integers(1, frames)
    return after[:, None] * _direction(rng) * rng.uniform(*JOLT)


def pass_in_front(pictures: Bytes, masks: Masks, rng: np.random.Generator) -> tuple[Bytes, Masks]:
    """Return a clip (N, H, W, 3) and its masks (N, H, W) with a fold or an instrument that comes in and leaves.

    What is covered is no lesion any more. Frames before and after stay as they are.
    """
    count = len(pictures)
    length = int(rng.integers(min(3, count), count + 1))
    first = int(rng.integers(count - length + 1))
    fold, angle, deepest = rng.random() < 0.5, rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 0.9)
    width, shade = rng.uniform(0.1, 0.3), rng.uniform(0.6, 1.1)
    shown, left = pictures.copy(), masks.copy()
    for step in range(length):
        depth = deepest * np.sin(np.pi * (step + 1) / (length + 1))
        along, across = _axes(pictures.shape[1:3], angle)
        cover = np.clip((depth - along) * 40, 0, 1)
        if not fold:
            cover *= np.clip((width / 2 - np.abs(across)) * 80, 0, 1)
        index = first + step
        colour = _tissue(pictures[index], depth - along, shade) if fold else _metal(across / width, shade)
        mixed = pictures[index] * (1 - cover[..., None]) + colour * cover[..., None]
        shown[index] = np.clip(mixed, 0, 255).astype(np.uint8)
        left[index] = masks[index] & (cover < 0.5)
    return shown, left


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def _axes(size: tuple[int, ...], angle: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how deep each pixel lies from the border that something comes in from, 0 to 1, and how far aside."""
    rows, columns = np.mgrid[-0.5 : 0.5 : size[0] * 1j, -0.5 : 0.5 : size[1] * 1j].astype(np.float32)
    reach = (abs(np.cos(angle)) + abs(np.sin(angle))) / 2
    along = (np.cos(angle) * columns + np.sin(angle) * rows + reach) / (2 * reach)
    across = np.cos(angle) * rows - np.sin(angle) * columns
    return along.astype(np.float32), across.astype(np.float32)


def _tissue(picture: Bytes, depth: NDArray[np.float32], shade: float) -> NDArray[np.float32]:
    """Return the picture's own mirrored tissue, darker towards the fold's edge."""
    soft = cv2.GaussianBlur(picture[::-1, ::-1].astype(np.float32), (0, 0), 3)
    light = np.float32(shade) * (0.55 + 0.45 * np.clip(depth * 5, 0, 1))
    return np.asarray(soft * light[..., None], np.float32)


def _metal(across: NDArray[np.float32], shade: float) -> NDArray[np.float32]:
    """Return a shaft: bright along its middle, dark at its sides."""
    light = 70 + 150 * np.float32(shade) * np.clip(1 - (2 * across) ** 2, 0, 1)
    return np.repeat(light[..., None], 3, axis=-1).astype(np.float32)
