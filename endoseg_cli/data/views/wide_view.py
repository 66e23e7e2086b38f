"""The wide view of labelled frames: shape, colour and quality change as they do between hospitals and endoscopes."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.views.augment import weak_view
from endoseg_cli.data.views.augment_config import ColourJitterConfig, WeakViewConfig
from endoseg_cli.data.views.photometric import colour_jitter

GEOMETRY = WeakViewConfig(affine=0.9, scale=(0.7, 1.5), shift=0.12, rotation=180, shear=8)
COLOUR = ColourJitterConfig(probability=0.8, brightness=0.35, contrast=0.35, saturation=0.35, hue=0.05)
GAMMA_PROBABILITY, GAMMA = 0.4, 0.4
"""How often gamma changes, and the largest logarithm of its exponent to either side."""
DAMAGE_PROBABILITY = 0.35
"""How often a frame loses quality: defocus, motion, compression or a coarser sensor."""
PANEL_PROBABILITY = 0.3
"""How often a panel covers a corner: black or green as ScopeGuide's, so that no class of frames alone has one."""

Picture = NDArray[np.uint8]


def wide_view(
    image: Picture, mask: NDArray[np.bool_], size: tuple[int, int], rng: np.random.Generator
) -> tuple[Picture, NDArray[np.bool_]]:
    """Return a labelled frame (h, w, 3) RGB and its mask (h, w), both changed widely, at `size` = (H, W).

    Not in the paper, whose labelled frames see the weak view alone. The mask follows every move; where a panel covers
    the frame there is no lesion.
    """
    view, moved = weak_view(image, mask, size, rng, GEOMETRY)
    assert moved is not None
    view = colour_jitter(view, rng, COLOUR)
    if rng.random() < GAMMA_PROBABILITY:
        table = 255 * (np.arange(256) / 255) ** math.exp(rng.uniform(-GAMMA, GAMMA))
        view = np.asarray(cv2.LUT(view, np.rint(table).astype(np.uint8)), np.uint8)
    if rng.random() < DAMAGE_PROBABILITY:
        view = _damage(view, rng)
    if rng.random() < PANEL_PROBABILITY:
        view, moved = _panel(view, moved, rng)
    return view, moved


def _damage(view: Picture, rng: np.random.Generator) -> Picture:
    height, width = view.shape[:2]
    match int(rng.integers(4)):
        case 0:
            damaged = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.5, 2.2))
        case 1:
            damaged = cv2.filter2D(view, -1, _streak(int(rng.integers(3, 12)), rng.uniform(0, 180)))
        case 2:
            _, coded = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 60))])
            decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
            assert decoded is not None, "OpenCV reads what it wrote"
            damaged = decoded
        case _:
            factor = rng.uniform(0.3, 0.7)
            small = (max(round(width * factor), 1), max(round(height * factor), 1))
            damaged = cv2.resize(cv2.resize(view, small, interpolation=cv2.INTER_AREA), (width, height))
    return np.asarray(damaged, np.uint8)


def _streak(length: int, degrees: float) -> NDArray[np.float32]:
    """Return the kernel of a camera that moves by `length` pixels while the shutter is open."""
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    centre = ((length - 1) / 2, (length - 1) / 2)
    turned = np.asarray(cv2.warpAffine(kernel, cv2.getRotationMatrix2D(centre, degrees, 1), (length, length)))
    spread: NDArray[np.float32] = (turned / turned.sum()).astype(np.float32)
    return spread


def _panel(view: Picture, mask: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Picture, NDArray[np.bool_]]:
    """Cover a corner, most often the lower left one, unless that would hide a third of the lesion."""
    height, width = mask.shape
    tall, wide = (max(round(rng.uniform(0.12, 0.36) * side), 1) for side in (height, width))
    left = 0 if rng.random() < 0.7 else width - wide
    top = height - tall if rng.random() < 0.7 else 0
    corner = np.s_[top : top + tall, left : left + wide]
    green = (int(rng.integers(60)), int(rng.integers(90, 200)), int(rng.integers(90)))
    colour = (0, 0, 0) if rng.random() < 0.6 else green
    if mask[corner].sum() > 0.3 * mask.sum():
        return view, mask
    view, mask = view.copy(), mask.copy()
    view[corner], mask[corner] = colour, False
    return view, mask
