"""Score a network on the validation frames, at the network's own size: quick, for choosing weights while training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
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
        indices = range(start, min(start + VALIDATION_BATCH, len(frames)))
        pairs = [frames.read(index) for index in indices]
        images = torch.stack([to_tensor(resize_frame(image, size)) for image, _ in pairs])
        with torch.inference_mode():
            predicted = (torch.sigmoid(network(normalise(images))) > THRESHOLD).cpu().numpy()
        for index, (_, mask), prediction in zip(indices, pairs, predicted, strict=True):
            assert mask is not None, "validation frames have masks"
            scores.append(score_frame(prediction[0], resize_mask(mask, size), name=f"{index:08d}"))
    return _summarise(sorted(ranks.gather(scores), key=lambda score: score.name))


def _summarise(scores: list[FrameScore]) -> ValidationScores:
    lesion = [score.dice for score in scores if score.present]
    empty = [not score.predicted for score in scores if not score.present]
    return ValidationScores(
        dice=float(np.mean([score.dice for score in scores])),
        lesion_dice=float(np.mean(lesion)) if lesion else float("nan"),
        kept_empty=float(np.mean(empty)) if empty else float("nan"),
    )
