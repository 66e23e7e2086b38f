"""Score a corrective network on held-out windows, before and after correction, untouched and spoiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from endoseg_cli.evaluation.frames.metrics import score_frame
from endoseg_cli.training.corrective.learner import CorrectiveLearner
from endoseg_cli.training.corrective.windows import WindowBatch

MOST_LOST = 0.002
"""Dice that untouched windows may lose at most."""


@dataclass(frozen=True, kw_only=True)
class CorrectiveScores:
    """Mean Dice over the corrected frames of held-out windows, at threshold 0.5."""

    spoiled_before: float
    """What the spoiled predictions score."""
    spoiled_after: float
    """What is left of the damage after correction."""
    untouched_before: float
    """What the networks' own predictions score."""
    untouched_after: float
    """What the correction makes of them."""

    @property
    def gain(self) -> float:
        """How much both kinds of windows gain on average; above 0 the correction does more good than harm."""
        gained = self.spoiled_after - self.spoiled_before + self.untouched_after - self.untouched_before
        return gained / 2

    @property
    def choice(self) -> float:
        """What the best state has most of: repair of spoiled windows, among states that do (almost) no harm.

        A state that takes more than MOST_LOST from untouched windows is below every state that does not.
        """
        lost = self.untouched_before - self.untouched_after
        return self.spoiled_after - self.spoiled_before if lost <= MOST_LOST else -1 - lost


def validate_corrective(
    learner: CorrectiveLearner, untouched: Sequence[WindowBatch], spoiled: Sequence[WindowBatch]
) -> CorrectiveScores:
    """Return the scores of a network; several processes score every window once between them."""
    learner.network.eval()
    kept, damaged = (_mean_dice(learner, windows) for windows in (untouched, spoiled))
    return CorrectiveScores(
        spoiled_before=damaged[0], spoiled_after=damaged[1], untouched_before=kept[0], untouched_after=kept[1]
    )


def _mean_dice(learner: CorrectiveLearner, windows: Sequence[WindowBatch]) -> tuple[float, float]:
    ranks = learner.ranks
    scores: list[tuple[int, float, float]] = []
    for number in range(ranks.rank, len(windows), ranks.size):
        window = windows[number]
        with torch.inference_mode():
            corrected = (learner.correct(window)[0] > 0).cpu().numpy()[0, 0]
        centre = window.pattern.places.index(0)
        before = (window.probability[0, centre, 0] > 0.5).numpy()
        truth, known = window.truth[0, 0, 0].numpy() > 0.5, window.known[0, 0, 0].numpy() > 0.5
        found = [score_frame(mask & known, truth & known, name=str(number)).dice for mask in (before, corrected)]
        scores.append((number, found[0], found[1]))
    gathered = sorted(ranks.gather(scores))
    return float(np.mean([row[1] for row in gathered])), float(np.mean([row[2] for row in gathered]))
