"""Spoil single frames on purpose, as natural failures are too few to measure repairs by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.networks.running.entropy import binary_entropy

Probability = NDArray[np.float32]
SPOILED_SHARE = 0.15
"""Chance that a frame is spoiled, once enough frames have passed since the last one."""
LEAST_DISTANCE = 4
"""Frames between spoiled ones, so that each stands alone."""


@dataclass(kw_only=True)
class Spoiler:
    """Empties frames that have a mask, and invents a blob in frames that have none; same seed, same frames."""

    seed: int
    """What frames, places and sizes are drawn from."""
    clip: int
    """Number of the clip, so that clips differ."""
    threshold: float = 0.5
    """What makes a mask of a probability."""
    _frame: int = 0
    _last: int = -LEAST_DISTANCE

    def __call__(self, probability: Probability, uncertainty: Probability) -> tuple[Probability, Probability, bool]:
        """Return maps (C, h, w) of the next frame, spoiled or the very ones that came, and whether they were."""
        random = np.random.default_rng([self.seed, self.clip, self._frame])
        index, self._frame = self._frame, self._frame + 1
        if index - self._last < LEAST_DISTANCE or random.random() >= SPOILED_SHARE:
            return probability, uncertainty, False
        self._last = index
        highest = float(probability.max())
        if highest > self.threshold:
            spoiled = probability * np.float32(random.uniform(0.2, 0.95) * self.threshold / highest)
        else:
            spoiled = np.maximum(probability, _blob(random, probability.shape, self.threshold))
        # where the frame was not touched, the networks' uncertainty stands
        return spoiled, np.where(spoiled == probability, uncertainty, binary_entropy(spoiled)), True


def _blob(random: np.random.Generator, shape: tuple[int, ...], threshold: float) -> Probability:
    """Return a soft ellipse of 1 to 8 % of the frame, in one class."""
    classes, height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    radius = math.sqrt(random.uniform(0.01, 0.08) * height * width / math.pi)
    stretch, angle = random.uniform(1, 1.8), random.uniform(0, math.pi)
    y, x = rows - random.uniform(0.2, 0.8) * height, columns - random.uniform(0.2, 0.8) * width
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    distance = np.sqrt((along / stretch) ** 2 + (across * stretch) ** 2) / max(radius, 1.5)
    peak = threshold + (1 - threshold) * random.uniform(0.3, 0.9)
    blob = np.zeros(shape, np.float32)
    blob[random.integers(classes)] = peak / (1 + np.exp(np.minimum(6 * (distance - 1), 30)))
    return blob
