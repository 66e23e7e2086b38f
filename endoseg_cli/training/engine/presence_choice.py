"""Choose the presence, the peak that a model asks of a region, on the validation frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.evaluation.frames.metrics import FrameScore, score_frame
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.running.ensemble import combine
from endoseg_cli.networks.running.presence import demand_presence
from endoseg_cli.training.engine.validation import (
    THRESHOLD,
    VALIDATION_BATCH,
    ValidationScores,
    read_batch,
    summarise,
)

CANDIDATES = (0.0, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
FEWEST_FRAMES = 10
"""Frames with a lesion, and as many without, from which on anything is chosen: fewer show no trade."""


@dataclass(frozen=True, kw_only=True)
class PresenceChoice:
    """What was chosen, and what drawing every region would have given, both networks together."""

    presence: float
    """Peak probability that a region must reach, for the model's card; 0 where nothing is surely gained."""
    chosen: ValidationScores
    """The validation frames with it."""
    without: ValidationScores
    """The same frames with every region drawn."""


def choose_presence(
    networks: Sequence[UNet], frames: FrameStore, size: tuple[int, int], normalise: Callable[[Tensor], Tensor]
) -> PresenceChoice | None:
    """Return the presence of the best balance between lesions outlined and empty frames kept empty.

    The balance, the mean of both, does not depend on how many frames show a lesion. A presence other than 0 is chosen
    only if it gains more than one standard error (paired over frames). Returns None where `frames` hold fewer than
    `FEWEST_FRAMES` with a lesion or without one: networks that never met an empty frame there cannot be held back from
    them. Masks are compared at `size` = (H, W).
    """
    empties = frames.empty()
    if min(len(frames) - len(empties), len(empties)) < FEWEST_FRAMES:
        return None
    scores = _score(networks, frames, size, normalise)
    present = np.ones(len(frames), np.bool_)
    present[empties] = False
    dice = np.array([[score.dice for score in row] for row in scores])  # (candidates, frames); of an empty frame 1 or 0
    gains = dice - dice[0]
    lesion, empty = gains[:, present], gains[:, ~present]
    gain = (lesion.mean(1) + empty.mean(1)) / 2
    error = np.sqrt(lesion.var(1, ddof=1) / lesion.shape[1] + empty.var(1, ddof=1) / empty.shape[1]) / 2
    best = int(gain.argmax())
    chosen = best if gain[best] > error[best] else 0
    return PresenceChoice(presence=CANDIDATES[chosen], chosen=summarise(scores[chosen]), without=summarise(scores[0]))


def _score(
    networks: Sequence[UNet], frames: FrameStore, size: tuple[int, int], normalise: Callable[[Tensor], Tensor]
) -> list[list[FrameScore]]:
    """Return the scores of all frames for each candidate."""
    scores: list[list[FrameScore]] = [[] for _ in CANDIDATES]
    for start in range(0, len(frames), VALIDATION_BATCH):
        images, masks = read_batch(frames, start, size)
        with torch.inference_mode():
            seen = normalise(images)
            probability = combine([network(seen) for network in networks])[0].cpu().numpy()
        for presence, row in zip(CANDIDATES, scores, strict=True):
            drawn = demand_presence(probability, presence)[:, 0] > THRESHOLD
            row += [score_frame(picture, mask, name="") for picture, mask in zip(drawn, masks, strict=True)]
    return scores
