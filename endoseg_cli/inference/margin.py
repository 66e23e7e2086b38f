"""What is taken of a correction where there was no reason to doubt the prediction."""

from __future__ import annotations

import math

import numpy as np

from endoseg_cli.inference.predictor import Probability
from endoseg_cli.networks.corrective import LOGIT_LIMIT

MARGIN = 4.0
"""Logits that a correction must exceed in a frame that is not flagged; from 0.5 it takes them to reach 0.98 or 0.02.

A flagged frame is wrong by its neighbours' witness; any other one is right more often than not, and small corrections
of it harm as often as they help (measured in weights/README.md).
"""
_LEAST = 1 / (1 + math.exp(LOGIT_LIMIT))
"""Probabilities this near to 0 and 1 count as equally sure, as they do for the corrective network."""


def beyond_margin(predicted: Probability, corrected: Probability, margin: float) -> Probability:
    """Return `predicted`, moved towards `corrected` by what their difference in logits exceeds `margin`; any shape.

    Where it does not exceed it, the very probability comes back.
    """
    before = _logit(predicted)
    change = _logit(corrected) - before
    excess = np.sign(change) * np.maximum(np.abs(change) - margin, 0)
    moved = 1 / (1 + np.exp(-(before + excess)))
    return np.where(excess == 0, predicted, moved).astype(np.float32)


def _logit(probability: Probability) -> Probability:
    inside = np.clip(probability, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(inside) - np.log1p(-inside), dtype=np.float32)
