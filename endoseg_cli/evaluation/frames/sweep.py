"""Every threshold at once: exact counts at 255 thresholds from one pass over the probability maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.evaluation.frames.histogram import count_by, divide
from endoseg_cli.evaluation.frames.metrics import SMOOTHING

BINS = 256
"""Bins of probability; a power of two, so multiplying a float by it is exact."""
THRESHOLDS: NDArray[np.float64] = np.arange(1, BINS) / BINS
"""The thresholds 1/256 ... 255/256; 0.5 is one of them."""


def probability_bins(probability: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the bin 0..255 of each probability; bin b holds (b/256, (b+1)/256], and bin 0 also 0.

    The bins are open below, so "probability > k/256" is exactly "bin >= k".
    """
    bins: NDArray[np.intp] = np.ceil(probability * np.float32(BINS)).astype(np.intp) - 1
    np.clip(bins, 0, BINS - 1, out=bins)
    return bins


def frame_histogram(probability: NDArray[np.float32], truth: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count pixels by probability bin: (2, 256), background pixels in row 0 and lesion pixels in row 1."""
    return count_by(probability_bins(probability), truth, BINS)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Scores at each threshold; every array is (255,), NaN where a score is not defined."""

    thresholds: NDArray[np.float64]
    """A pixel counts as lesion where its probability is above this."""
    dice: NDArray[np.float64]
    """Mean Dice over all frames."""
    dice_with_lesion: NDArray[np.float64]
    """Mean Dice over the frames with a lesion."""
    sensitivity: NDArray[np.float64]
    """Mean sensitivity over the frames with a lesion."""
    specificity: NDArray[np.float64]
    """Mean specificity over the frames that have background."""
    precision: NDArray[np.float64]
    """Image-level precision."""
    recall: NDArray[np.float64]
    """Image-level recall."""
    f1: NDArray[np.float64]
    """Image-level F1."""

    @property
    def best(self) -> int:
        """Index of the threshold with the highest mean Dice; of equals, the one nearest to 0.5."""
        return self._highest(self.dice)

    @property
    def best_with_lesion(self) -> int | None:
        """The same for the mean Dice over the frames with a lesion; None if no frame has one."""
        return None if np.isnan(self.dice_with_lesion).any() else self._highest(self.dice_with_lesion)

    def _highest(self, dice: NDArray[np.float64]) -> int:
        rivals = np.flatnonzero(dice >= np.max(dice) - 1e-12)
        return int(rivals[np.argmin(np.abs(self.thresholds[rivals] - 0.5))])


class SweepAccumulator:
    """Adds up frames one by one; its memory does not grow with their number."""

    def __init__(self) -> None:
        self._frames = np.zeros(3, dtype=np.int64)  # all, with lesion, with background
        self._sums = np.zeros((4, BINS - 1))  # Dice, Dice with lesion, sensitivity, specificity
        self._predicted = np.zeros((2, BINS - 1), dtype=np.int64)  # frames: without, with lesion

    def add(self, histogram: NDArray[np.int64]) -> None:
        """Add one frame's histogram (2, 256) from `frame_histogram`."""
        above = histogram[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]  # (2, 255): pixels above each threshold
        background, lesion = (int(count) for count in histogram.sum(axis=1))
        fp, tp = above
        dice = (2 * tp + SMOOTHING) / (tp + fp + lesion + SMOOTHING)
        self._frames += (1, lesion > 0, background > 0)
        self._sums[0] += dice
        if lesion:
            self._sums[1] += dice
            self._sums[2] += tp / lesion
        if background:
            self._sums[3] += (background - fp) / background
        self._predicted[int(lesion > 0)] += (tp + fp) > 0

    def result(self) -> Sweep:
        """Return the scores at each threshold over the frames added so far (at least one)."""
        frames, with_lesion, with_background = (int(count) for count in self._frames)
        assert frames > 0, "a sweep needs a frame"
        fp, tp = self._predicted
        return Sweep(
            thresholds=THRESHOLDS,
            dice=self._sums[0] / frames,
            dice_with_lesion=divide(self._sums[1], with_lesion),
            sensitivity=divide(self._sums[2], with_lesion),
            specificity=divide(self._sums[3], with_background),
            precision=divide(tp, tp + fp),
            recall=divide(tp, with_lesion),
            f1=divide(2 * tp, tp + fp + with_lesion),
        )
