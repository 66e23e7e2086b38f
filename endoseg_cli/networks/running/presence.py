"""Regions that networks are nowhere sure of, taken back."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.errors import UsageError

Probability = NDArray[np.float32]
DOUBT = 0.01
"""How near to the presence a peak counts as close. Half precision moves peaks there by 0.02 at most, mostly by less."""
SURE_ENOUGH = 0.5
"""Where a lesion is more likely than not."""


def check_presence(presence: float) -> None:
    """Raise UsageError for what is no presence."""
    if not 0 <= presence < 1:
        raise UsageError(f"--presence must be at least 0 and below 1, found {presence:g}")


def is_close(probability: Probability, presence: float) -> bool:
    """Return whether a region of (C, h, w) peaks so near to `presence` that half precision may decide on it wrongly."""
    if presence <= SURE_ENOUGH:
        return False
    for plane in probability:
        if plane.max() < presence - DOUBT:
            continue
        _, peaks = _regions(plane)
        if (np.abs(peaks - presence) < DOUBT).any():
            return True
    return False


def demand_presence(probability: Probability, presence: float) -> Probability:
    """Return probabilities (N, C, h, w) in which each region above 0.5 peaks at `presence` or more.

    A region that nowhere does is scaled so that its peak is 0.5, at which it is drawn only if a lower threshold asks
    for it. Networks that find more lesions also take more folds for one, but are seldom as sure of those.
    """
    if presence <= SURE_ENOUGH:
        return probability
    demanding = probability.copy()
    for plane in demanding.reshape(-1, *demanding.shape[2:]):
        if plane.max() <= SURE_ENOUGH:
            continue
        labels, peaks = _regions(plane)
        for label in np.flatnonzero(peaks < presence)[1:]:  # the first is the ground
            plane[labels == label] *= SURE_ENOUGH / peaks[label]
    return demanding


def _regions(plane: Probability) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the number of each pixel's region of (h, w), 0 for the ground, and each region's peak, 0 for that."""
    count, found = cv2.connectedComponents((plane > SURE_ENOUGH).astype(np.uint8), connectivity=8)
    labels = np.asarray(found, np.int32)
    inside = labels > 0
    peaks = np.zeros(count, np.float32)
    np.maximum.at(peaks, labels[inside], plane[inside])
    return labels, peaks
