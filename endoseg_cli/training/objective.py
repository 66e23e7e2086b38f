"""The supervised loss on labelled frames."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from endoseg_cli.training.precision import at_least_float32


def supervised_terms(logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """Return the terms of one network's loss on labelled frames, each a scalar.

    `logits` and `masks` are (B, C, H, W), masks in {0, 1}. `supervised` is the binary cross-entropy of Endo-SemiS, over
    all pixels; `dice` is one minus the soft Dice coefficient of each class over the batch, which weighs small lesions
    as much as large ones.
    """
    target = masks.to(logits.dtype)
    return {
        "supervised": functional.binary_cross_entropy_with_logits(logits, target),
        "dice": soft_dice_loss(logits, target),
    }


def soft_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return 1 - (2 sum p y + 1) / (sum p + sum y + 1), over batch and pixels, averaged over classes.

    The sums run over the whole batch, so frames without a lesion still push their probabilities down, and the loss
    stays finite in a batch that has no lesion at all.
    """
    probability = torch.sigmoid(at_least_float32(logits))
    pixels = (0, 2, 3)
    overlap = (probability * target).sum(pixels)
    total = probability.sum(pixels) + target.sum(pixels)
    return 1 - ((2 * overlap + 1) / (total + 1)).mean()
