"""Pictures made worse as they are in real endoscopy, a little or until nothing can be seen; no pixel moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Degradation = Literal["washed out", "defocused", "bubbles", "glare"]
DEGRADATIONS: tuple[Degradation, ...] = get_args(Degradation)


def degrade(picture: Bytes, kind: Degradation, strength: float, rng: np.random.Generator) -> Bytes:
    """Return a picture (H, W, 3) made worse; `strength` from 0, which changes nothing, to 1.

    The same generator state draws the same places, so that a greater strength is more of the same.
    """
    assert 0 <= strength <= 1, strength
    worse = _MAKERS[kind](picture.astype(np.float32), strength, rng)
    return np.clip(np.rint(worse), 0, 255).astype(np.uint8)


def _wash_out(picture: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Lose colour and contrast towards a bright haze, as under water or with the lens against the wall."""
    haze = rng.uniform((190, 110, 90), (250, 230, 220)).astype(np.float32)
    blurred = cv2.GaussianBlur(picture, (0, 0), max(strength * 0.03 * picture.shape[1], 0.1))
    share = np.float32(strength * rng.uniform(0.85, 0.97))
    mixed = blurred * (1 - share) + haze * share
    return np.asarray(mixed if strength else picture, np.float32)


def _defocus(picture: Floats, strength: float, rng: np.random.Generator) -> Floats:
    radius = round(strength * rng.uniform(0.05, 0.1) * picture.shape[1])
    if not radius:
        return picture
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    cv2.circle(kernel, (radius, radius), radius, 1.0, -1)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101), np.float32)


def _bubbles(picture: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Cover the picture with foam: pale discs with bright rims."""
    height, width = picture.shape[:2]
    covered = picture.copy()
    for x, y, radius, shade in rng.uniform((0, 0, 0.02, 0.5), (1, 1, 0.1, 0.95), (120, 4))[: round(120 * strength)]:
        place, size = (round(x * width), round(y * height)), max(round(radius * width), 2)
        inner, rim = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
        cv2.circle(inner, place, size, 1.0, -1)
        cv2.circle(rim, place, size, 1.0, max(size // 5, 1))
        for layer, colour, share in ((inner, shade * np.array((235, 220, 200)), 0.6), (rim, (250, 250, 245), 0.8)):
            cover = cv2.GaussianBlur(layer, (3, 3), 0)[..., None] * np.float32(share)
            covered = covered * (1 - cover) + np.asarray(colour, np.float32) * cover
    return np.asarray(covered, np.float32)


def _glare(picture: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Overexpose a large part of the picture, with a soft border."""
    height, width = picture.shape[:2]
    x, y = rng.uniform(0.25, 0.75, 2) * (width, height)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    distance = np.hypot((columns - x) / width, (rows - y) / height)
    light = np.exp(-((distance / np.float32(0.25 + 0.5 * strength)) ** 2))[..., None] * np.float32(strength)
    return np.asarray(picture + light * np.float32(rng.uniform(350, 600)), np.float32)


_MAKERS: dict[Degradation, Callable[[Floats, float, np.random.Generator], Floats]] = {
    "washed out": _wash_out,
    "defocused": _defocus,
    "bubbles": _bubbles,
    "glare": _glare,
}
