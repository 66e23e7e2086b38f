"""What spoils single frames of a video: blur, water, bubbles, smoke, glare, and the wall on the lens."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from endoseg_cli.phantom.world.tables import Array, blurred, smooth_step
from endoseg_cli.phantom.world.textures import mucosa_tile

OPAQUE = "wall_contact"
"""The one disturbance behind which a lesion cannot be seen."""
_OPAQUE_FROM = 0.35  # level of wall contact from which the mask is empty


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """One event in time."""

    name: str
    """motion_blur, out_of_focus, glare, smoke, bubbles, wash_out or wall_contact."""
    start: float
    """Seconds."""
    duration: float
    """Seconds."""
    strength: float
    """Its peak, 0 to 1."""
    seed: int
    """Draws its details."""

    def level(self, time: float) -> float:
        """Its strength at a time: rises and falls within its duration."""
        share = (time - self.start) / self.duration
        return float(self.strength * np.sin(np.pi * share) ** 0.5) if 0 < share < 1 else 0.0

    def hides(self, time: float) -> bool:
        """Whether it hides every lesion at a time."""
        return self.name == OPAQUE and self.level(time) >= _OPAQUE_FROM

    def act(self, light: Array, time: float) -> Array:
        """Spoil exposed linear light (H, W, 3) as at a time in seconds."""
        level = self.level(time)
        if level <= 0:
            return light
        effect = {
            "motion_blur": _motion_blur,
            "out_of_focus": _out_of_focus,
            "glare": _glare,
            "smoke": _smoke,
            "bubbles": _bubbles,
            "wash_out": _wash_out,
            "wall_contact": _wall_contact,
        }[self.name]
        return np.asarray(effect(light, level, time - self.start, np.random.default_rng(self.seed)), np.float32)


def smear(light: Array, shift: tuple[float, float], colours_apart: bool = False) -> Array:
    """Blur light along a shift in pixels; cameras that light red, green and blue in turn also pull them apart."""
    reach = float(np.hypot(*shift))
    if reach < 0.7:
        return light
    steps = min(17, 3 + round(reach))
    total = np.zeros_like(light)
    for share in np.linspace(-0.5, 0.5, steps):
        total += _moved(light, share * shift[0], share * shift[1])
    total /= steps
    if colours_apart:
        for channel, share in ((0, -0.6), (2, 0.6)):
            total[..., channel] = _moved(total[..., channel], share * shift[0], share * shift[1])
    return total


def _moved(light: Array, right: float, down: float) -> Array:
    matrix = np.asarray([[1, 0, right], [0, 1, down]], np.float64)
    size = (light.shape[1], light.shape[0])
    return np.asarray(cv2.warpAffine(light, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _bent(light: Array, columns: Array, rows: Array) -> Array:
    """Light (H, W, 3) as seen through water: each pixel shows another place."""
    x, y = np.asarray(columns, np.float32), np.asarray(rows, np.float32)
    return np.asarray(cv2.remap(light, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _clouds(shape: tuple[int, ...], variant: int, shift: tuple[float, float]) -> Array:
    """Smooth moving noise (H, W), about zero mean and unit deviation."""
    tile = mucosa_tile(variant).levels[4][..., 0]
    rows, columns = (int(part * tile.shape[0]) % tile.shape[0] for part in shift)
    rolled = np.roll(tile, (rows, columns), (0, 1))
    return np.asarray(cv2.resize(rolled, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def _motion_blur(light: Array, level: float, elapsed: float, rng: np.random.Generator) -> Array:
    heading = rng.uniform(0, 2 * np.pi)
    reach = 0.09 * level * max(light.shape[:2])
    return smear(light, (reach * np.cos(heading), reach * np.sin(heading)), bool(rng.random() < 0.5))


def _out_of_focus(light: Array, level: float, elapsed: float, rng: np.random.Generator) -> Array:
    return blurred(light, 0.022 * level * max(light.shape[:2]))


def _glare(light: Array, level: float, elapsed: float, rng: np.random.Generator) -> Array:
    wide = blurred(np.minimum(light, 3), max(light.shape[:2]) / 20)
    return light * np.float32(1 + 3.5 * level) + np.float32(0.7 * level) * wide


def _smoke(light: Array, level: float, elapsed: float, rng: np.random.Generator) -> Array:
    drift = rng.uniform(-0.6, 0.6, 2)
    cloud = _clouds(light.shape, int(rng.integers(6)), (drift[0] * elapsed, drift[1] * elapsed))
    density = np.clip(level * (0.6 + 0.14 * cloud), 0, 0.9)[..., None]
    colour = np.asarray((0.55, 0.5, 0.45), np.float32)
    soft = blurred(light, 0.006 * level * max(light.shape[:2]))
    return np.asarray(soft * (1 - density) + colour * density, np.float32)


def _wash_out(light: Array, level: float, elapsed: float, rng: np.random.Generator) -> Array:
    """A water jet: the picture ripples, and bright turbulent streaks run across it."""
    height, width = light.shape[:2]
    heading, variant = rng.uniform(0, 2 * np.pi), int(rng.integers(6))
    speed = (2.5 * np.sin(heading) * elapsed, 2.5 * np.cos(heading) * elapsed)
    first, second = (_clouds(light.shape, (variant + k) % 6, (speed[0] + 0.3 * k, speed[1])) for k in (0, 1))
    reach = np.float32(0.03 * level * max(height, width))
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    bent = _bent(light, columns + reach * first, rows + reach * second)
    bent = blurred(bent, 0.006 * level * max(height, width))
    run = 0.25 * max(height, width)
    streaks = smear(first + 0.5 * second, (run * np.cos(heading), run * np.sin(heading)))
    water = 0.9 * smooth_step(-0.2 - 0.9 * level, 2.6 - 0.9 * level, 1.4 * streaks + 0.5 * first)[..., None]
    white = np.asarray((1.15, 1.1, 1.0), np.float32)
    return np.asarray(bent + water * (0.9 * white - 0.6 * bent) + np.float32(0.12 * level), np.float32)


def _bubbles(light: Array, level: float, elapsed: float, rng: np.random.Generator) -> Array:
    """Clear bubbles and drops before the lens: each turns what is behind it upside down within a bright rim."""
    height, width = light.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    source_x, source_y = columns.copy(), rows.copy()
    gain = np.ones((height, width), np.float32)
    shine = np.zeros((height, width), np.float32)
    for _ in range(3 + round(14 * level)):
        radius = rng.uniform(0.02, 0.05 + 0.11 * level) * max(height, width)
        x, y = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
        x, y = x + rng.normal(0, 0.15) * width * elapsed, y + rng.normal(0, 0.15) * height * elapsed
        dx, dy = columns - np.float32(x), rows - np.float32(y)
        reach = np.hypot(dx, dy) / np.float32(radius)
        inside = reach < 1
        bend = np.float32(1.0) - np.float32(1.5) * reach**3
        source_x, source_y = np.where(inside, x + dx * bend, source_x), np.where(inside, y + dy * bend, source_y)
        gain *= np.where(inside, 1.08 - 0.5 * smooth_step(0.8, 0.97, reach), 1)
        spot = np.hypot(dx + 0.4 * radius, dy + 0.45 * radius) / max(1.0, 0.12 * radius)
        shine += inside * (0.32 * np.exp(-(((reach - 0.9) / 0.05) ** 2)) + 1.6 * np.exp(-(spot**2)))
    bent = _bent(light, source_x, source_y)
    return np.asarray(bent * gain[..., None] + shine[..., None], np.float32)


def _wall_contact(light: Array, level: float, elapsed: float, rng: np.random.Generator) -> Array:
    """The wall lies on the lens: a red, blurred nothing."""
    height, width = light.shape[:2]
    average = light.reshape(-1, 3).mean(axis=0) + np.float32(0.05)
    red = average / average.max() * np.asarray((1.1, 0.75, 0.6), np.float32)
    cloud = 0.65 + 0.25 * _clouds(light.shape, int(rng.integers(6)), (0.2 * elapsed, 0.1))
    flat = blurred(np.asarray(red * cloud[..., None], np.float32), max(height, width) / 14)
    share = smooth_step(0.1, 0.9 * _OPAQUE_FROM, np.asarray(level, np.float32))
    soft = blurred(light, 0.08 * level * max(height, width))
    return np.asarray(soft * (1 - share) + flat * share, np.float32)
