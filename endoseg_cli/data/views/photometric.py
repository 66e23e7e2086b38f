"""The strong view and the colour jitter: what happens to colours, while every pixel stays in its place."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.views.augment_config import ColourJitterConfig, StrongViewConfig

_GREY = np.array((0.299, 0.587, 0.114))
"""Share of red, green and blue in the grey of a pixel (ITU-R BT.601)."""
Operation = Callable[[NDArray[np.uint8], np.random.Generator, StrongViewConfig], NDArray[np.uint8]]


def strong_view(image: NDArray[np.uint8], rng: np.random.Generator, config: StrongViewConfig) -> NDArray[np.uint8]:
    """Return a photometrically changed copy of a weak view (H, W, 3) RGB (Endo-SemiS, strong view).

    Gaussian blur, CLAHE, auto-contrast, median blur, gamma and brightness/contrast, in this order, each with
    `config.probability`; with `config.at_least`, one more where the view would be the weak one. Pixels do not move, so
    the pseudo-labels of the weak view hold for its strong view.
    """
    strong = image.copy()
    for operation in _OPERATIONS:
        if rng.random() < config.probability:
            strong = operation(strong, rng, config)
    return _changed(strong, image, rng, config) if config.at_least else strong


def _changed(
    strong: NDArray[np.uint8], image: NDArray[np.uint8], rng: np.random.Generator, config: StrongViewConfig
) -> NDArray[np.uint8]:
    """Return a strong view that is not the weak one, `image`, unless nothing changes that, as where all is black."""
    if not np.array_equal(strong, image):
        return strong
    for number in rng.permutation(len(_OPERATIONS)):
        strong = _OPERATIONS[number](image, rng, config)
        if not np.array_equal(strong, image):
            break
    return strong


def colour_jitter(image: NDArray[np.uint8], rng: np.random.Generator, config: ColourJitterConfig) -> NDArray[np.uint8]:
    """Return a labelled frame (H, W, 3) RGB with brightness, contrast, saturation and hue changed a little.

    Not part of Endo-SemiS, whose labelled frames see the weak view alone; it helps where colours differ between the
    endoscopes of the training and of the clinic. Pixels do not move.
    """
    if rng.random() >= config.probability:
        return image
    brightness, contrast, saturation = (
        1 + rng.uniform(-strength, strength) for strength in (config.brightness, config.contrast, config.saturation)
    )
    turned = _turn_hue(image, rng.uniform(-config.hue, config.hue))
    # Saturation spreads the channels about their grey, contrast spreads the pixels about the mean grey, brightness
    # scales: each is linear in (R, G, B), so together they are one matrix with an offset.
    mean_grey = float(_GREY @ np.asarray(cv2.mean(turned)[:3]))
    linear = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * _GREY)
    offset = np.full(3, brightness * (1 - contrast) * mean_grey)
    return np.asarray(cv2.transform(turned, np.column_stack((linear, offset))), dtype=np.uint8)


def _turn_hue(image: NDArray[np.uint8], turn: float) -> NDArray[np.uint8]:
    hsv = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), dtype=np.uint8)
    hsv[..., 0] += np.uint8(round(turn * 256) % 256)  # a full circle is 256 steps, so overflow is what is wanted
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), dtype=np.uint8)


def _gaussian_blur(image: NDArray[np.uint8], rng: np.random.Generator, config: StrongViewConfig) -> NDArray[np.uint8]:
    sigma = rng.uniform(*config.blur_sigma)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)


def _clahe(image: NDArray[np.uint8], rng: np.random.Generator, config: StrongViewConfig) -> NDArray[np.uint8]:
    lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), dtype=np.uint8)
    equaliser = cv2.createCLAHE(clipLimit=rng.uniform(*config.clahe_clip_limit), tileGridSize=(8, 8))
    lab[..., 0] = equaliser.apply(np.ascontiguousarray(lab[..., 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), dtype=np.uint8)


def _auto_contrast(image: NDArray[np.uint8], rng: np.random.Generator, config: StrongViewConfig) -> NDArray[np.uint8]:
    """Stretch each channel to the full scale; a channel of one value has nothing to stretch and stays."""
    # Rows first, then columns: numpy is eighty times slower over both axes at once.
    low = image.min(axis=0).min(axis=0).astype(np.float64)
    high = image.max(axis=0).max(axis=0).astype(np.float64)
    flat = high == low
    gain = np.where(flat, 1.0, 255 / np.where(flat, 1.0, high - low))
    levels = np.arange(256, dtype=np.float64)[:, None]
    return _apply_table(image, levels * gain - np.where(flat, 0.0, low * gain))


def _median_blur(image: NDArray[np.uint8], rng: np.random.Generator, config: StrongViewConfig) -> NDArray[np.uint8]:
    kernel = 2 * int(rng.integers(1, config.median_kernel // 2, endpoint=True)) + 1
    return np.asarray(cv2.medianBlur(image, kernel), dtype=np.uint8)


def _gamma(image: NDArray[np.uint8], rng: np.random.Generator, config: StrongViewConfig) -> NDArray[np.uint8]:
    levels = np.arange(256, dtype=np.float64)[:, None] / 255
    return _apply_table(image, 255 * levels ** rng.uniform(*config.gamma))


def _brightness_contrast(
    image: NDArray[np.uint8], rng: np.random.Generator, config: StrongViewConfig
) -> NDArray[np.uint8]:
    contrast = 1 + rng.uniform(-config.contrast, config.contrast)
    brightness = 255 * rng.uniform(-config.brightness, config.brightness)
    return _apply_table(image, np.arange(256, dtype=np.float64)[:, None] * contrast + brightness)


def _apply_table(image: NDArray[np.uint8], table: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Replace every level of every channel by its entry in `table` (256, 1 or 3)."""
    channels = np.broadcast_to(_rounded(table), (256, 3))
    return np.asarray(cv2.LUT(image, np.ascontiguousarray(channels)[:, None]), dtype=np.uint8)


def _rounded(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


_OPERATIONS: tuple[Operation, ...] = (
    _gaussian_blur,
    _clahe,
    _auto_contrast,
    _median_blur,
    _gamma,
    _brightness_contrast,
)
