"""Does the uncertainty tell where the errors are, and do the probabilities mean what they say?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.evaluation.frames.histogram import count_by, divide

MAX_UNCERTAINTY = math.log(2)
"""Entropy of a coin, in nats: the largest uncertainty a pixel can have."""
BINS = 10
"""Bins shown in tables and plots."""
FINE = 100
"""Finer bins inside each uncertainty bin, from which the AUROC is computed."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Errors against uncertainty, and lesion frequency against probability, over all pixels of all frames."""

    uncertainty_edges: NDArray[np.float64]
    """Edges of the uncertainty bins in nats, (11,), from 0 to ln 2."""
    pixel_share: NDArray[np.float64]
    """Share of all pixels in each uncertainty bin, (10,)."""
    error_rate: NDArray[np.float64]
    """Share of wrong pixels in each uncertainty bin, (10,); NaN in an empty bin."""
    auroc: float
    """Chance that a wrong pixel is more uncertain than a right one (ties count half); NaN if all are right or wrong."""
    probability_edges: NDArray[np.float64]
    """Edges of the probability bins, (11,), from 0 to 1."""
    probability_share: NDArray[np.float64]
    """Share of all pixels in each probability bin, (10,)."""
    mean_probability: NDArray[np.float64]
    """Mean probability in each probability bin, (10,); NaN in an empty bin."""
    lesion_frequency: NDArray[np.float64]
    """Share of lesion pixels in each probability bin, (10,); NaN in an empty bin."""
    expected_calibration_error: float
    """Mean over pixels of |lesion frequency - mean probability| of the pixel's bin."""


class CalibrationAccumulator:
    """Adds up frames one by one; its memory does not grow with their number."""

    def __init__(self) -> None:
        self._right_wrong = np.zeros((2, BINS * FINE), dtype=np.int64)
        self._background_lesion = np.zeros((2, BINS), dtype=np.int64)
        self._probability_sum = np.zeros(BINS)

    def add(
        self,
        *,
        probability: NDArray[np.float32],
        uncertainty: NDArray[np.float32],
        prediction: NDArray[np.bool_],
        truth: NDArray[np.bool_],
    ) -> None:
        """Add one frame; all four are (H, W), uncertainty in nats."""
        fine = _bins(uncertainty / np.float32(MAX_UNCERTAINTY), BINS * FINE)
        self._right_wrong += count_by(fine, prediction != truth, BINS * FINE)
        bins = _bins(probability, BINS)
        self._background_lesion += count_by(bins, truth, BINS)
        self._probability_sum += np.bincount(bins.ravel(), weights=probability.ravel(), minlength=BINS)

    def result(self) -> Calibration:
        """Return what the frames added so far (at least one) say."""
        right, wrong = self._right_wrong.reshape(2, BINS, FINE).sum(axis=2)
        background, lesion = self._background_lesion
        share = (background + lesion) / (background + lesion).sum()
        mean_probability = divide(self._probability_sum, background + lesion)
        frequency = divide(lesion, background + lesion)
        return Calibration(
            uncertainty_edges=np.linspace(0, MAX_UNCERTAINTY, BINS + 1),
            pixel_share=(right + wrong) / (right + wrong).sum(),
            error_rate=divide(wrong, right + wrong),
            auroc=auroc(*self._right_wrong),
            probability_edges=np.linspace(0, 1, BINS + 1),
            probability_share=share,
            mean_probability=mean_probability,
            lesion_frequency=frequency,
            expected_calibration_error=float(np.nansum(share * np.abs(frequency - mean_probability))),
        )


def auroc(negatives: NDArray[np.int64], positives: NDArray[np.int64]) -> float:
    """Area under the ROC curve from counts per bin of rising score; two pixels in the same bin are a tie (half).

    Returns NaN where there are no positives or no negatives.
    """
    pairs = float(negatives.sum()) * float(positives.sum())
    if not pairs:
        return math.nan
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / pairs)


def _bins(values: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    # Rounding can lift an entropy a hair above ln 2; it belongs in the last bin.
    return np.clip((values * np.float32(count)).astype(np.intp), 0, count - 1)
