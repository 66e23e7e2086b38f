"""Score a network on the validation frames, at the network's own size: quick, for choosing weights while training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endoseg_cli.data.views.datasets import to_tensor
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.evaluation.frames.metrics import FrameScore, score_frame
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.pictures.resize import resize_frame, resize_mask
from endoseg_cli.training.shared.distributed import ALONE, Ranks

VALIDATION_BATCH = 8
THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True)
class ValidationScores:
    """How one network does on the validation frames."""

    dice: float
    """Mean Dice over all frames; two empty masks give 1."""
    lesion_dice: float
    """Mean Dice over the frames with a lesion; NaN if there is none."""
    kept_empty: float
    """Share of the frames without a lesion in which nothing was predicted; NaN if there is none."""


def validate(
    network: UNet,
    frames: FrameStore,
    size: tuple[int, int],
    normalise: Callable[[Tensor], Tensor],
    ranks: Ranks = ALONE,
) -> ValidationScores:
    """Return a network's scores at threshold 0.5, with frames and masks resized to `size` = (H, W).

    Several processes score every frame once between them and all return the scores of the whole set.
    """
    network.eval()
    scores: list[FrameScore] = []
    # Batches are dealt out whole, so a frame meets the same companions, and the same rounding, as in one process.
    for start in range(ranks.rank * VALIDATION_BATCH, len(frames), ranks.size * VALIDATION_BATCH):
        images, masks = read_batch(frames, start, size)
        with torch.inference_mode():
            predicted = (torch.sigmoid(network(normalise(images))) > THRESHOLD).cpu().numpy()
        for index, (mask, prediction) in enumerate(zip(masks, predicted, strict=True), start=start):
            scores.append(score_frame(prediction[0], mask, name=f"{index:08d}"))
    return summarise(sorted(ranks.gather(scores), key=lambda score: score.name))


def read_batch(frames: FrameStore, start: int, size: tuple[int, int]) -> tuple[Tensor, list[NDArray[np.bool_]]]:
    """Return the pictures (B, 3, H, W) uint8 of a batch that begins at `start`, and its masks, both at `size`."""
    images, masks = [], []
    for index in range(start, min(start + VALIDATION_BATCH, len(frames))):
        image, mask = frames.read(index)
        assert mask is not None, "validation frames have masks"
        images.append(to_tensor(resize_frame(image, size)))
        masks.append(resize_mask(mask, size))
    return torch.stack(images), masks


def summarise(scores: Sequence[FrameScore]) -> ValidationScores:
    """Return what the scores of all validation frames say together."""
    lesion = [score.dice for score in scores if score.present]
    empty = [not score.predicted for score in scores if not score.present]
    return ValidationScores(
        dice=float(np.mean([score.dice for score in scores])),
        lesion_dice=float(np.mean(lesion)) if lesion else float("nan"),
        kept_empty=float(np.mean(empty)) if empty else float("nan"),
    )
