"""Choose the presence, the peak that a model asks of a region, on the validation frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endoseg_cli.data.views.datasets import to_tensor
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.evaluation.frames.metrics import score_frame
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.running.ensemble import combine
from endoseg_cli.networks.running.presence import demand_presence
from endoseg_cli.pictures.resize import resize_frame, resize_mask
from endoseg_cli.training.engine.validation import THRESHOLD, VALIDATION_BATCH

CANDIDATES = (0.0, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
FEWEST_FRAMES = 10
"""Frames with a lesion, and as many without, from which on anything is chosen: fewer show no trade."""


@dataclass(frozen=True, kw_only=True)
class PresenceScores:
    """What one presence makes of the validation frames, both networks together."""

    presence: float
    """Peak probability that a region must reach; 0 draws every region."""
    lesion_dice: float
    """Mean Dice over the frames with a lesion."""
    kept_empty: float
    """Share of the frames without a lesion in which nothing is drawn."""

    @property
    def balance(self) -> float:
        """The mean of both, which does not depend on how many frames of the set show a lesion."""
        return (self.lesion_dice + self.kept_empty) / 2


@dataclass(frozen=True, kw_only=True)
class PresenceChoice:
    """What was chosen, and what drawing every region would have given."""

    chosen: PresenceScores
    """The presence for the model's card; 0 where nothing is gained for sure."""
    without: PresenceScores
    """The same frames with every region drawn."""


def choose_presence(
    networks: Sequence[UNet], frames: FrameStore, size: tuple[int, int], normalise: Callable[[Tensor], Tensor]
) -> PresenceChoice | None:
    """Return the presence of the best balance between lesions outlined and empty frames kept empty.

    A presence other than 0 is chosen only if it gains more than one standard error (paired over frames). Returns None
    where `frames` hold fewer than `FEWEST_FRAMES` with a lesion or without one: networks that never met an empty frame
    there cannot be held back from them. Masks are compared at `size` = (H, W).
    """
    truth = [_mask_of(frames, index).any() for index in range(len(frames))]
    present = np.array(truth, np.bool_)
    if min(int(present.sum()), int((~present).sum())) < FEWEST_FRAMES:
        return None
    dice = _dice(networks, frames, size, normalise)  # (candidates, frames); of an empty frame 1 or 0
    gains = dice - dice[0]
    lesion, empty = gains[:, present], gains[:, ~present]
    gain = (lesion.mean(1) + empty.mean(1)) / 2
    error = np.sqrt(lesion.var(1, ddof=1) / lesion.shape[1] + empty.var(1, ddof=1) / empty.shape[1]) / 2
    best = int(gain.argmax())
    chosen = best if gain[best] > error[best] else 0
    return PresenceChoice(chosen=_scores(chosen, dice, present), without=_scores(0, dice, present))


def _scores(candidate: int, dice: NDArray[np.float64], present: NDArray[np.bool_]) -> PresenceScores:
    return PresenceScores(
        presence=CANDIDATES[candidate],
        lesion_dice=float(dice[candidate, present].mean()),
        kept_empty=float((dice[candidate, ~present] == 1).mean()),
    )


def _dice(
    networks: Sequence[UNet], frames: FrameStore, size: tuple[int, int], normalise: Callable[[Tensor], Tensor]
) -> NDArray[np.float64]:
    rows: list[list[float]] = []
    for start in range(0, len(frames), VALIDATION_BATCH):
        indices = range(start, min(start + VALIDATION_BATCH, len(frames)))
        images = torch.stack([to_tensor(resize_frame(frames.read(index)[0], size)) for index in indices])
        with torch.inference_mode():
            seen = normalise(images)
            probability = combine([network(seen) for network in networks])[0].cpu().numpy()
        masks = [resize_mask(_mask_of(frames, index), size) for index in indices]
        drawn = [demand_presence(probability, presence) > THRESHOLD for presence in CANDIDATES]
        rows += [
            [score_frame(picture[place, 0], mask, name="").dice for picture in drawn]
            for place, mask in enumerate(masks)
        ]
    # an empty frame with anything drawn has a Dice of about 1e-5 / pixels, which counts as 0
    return np.array(rows).T


def _mask_of(frames: FrameStore, index: int) -> NDArray[np.bool_]:
    mask = frames.read(index)[1]
    assert mask is not None, "validation frames have masks"
    return mask
