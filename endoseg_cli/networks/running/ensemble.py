"""What several networks say together about a frame: their mean probability, and how uncertain they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def combine(logits: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return probability and uncertainty of networks' logits (B, C, H, W), both (B, C, H, W) in float32.

    The probability is the mean of the networks' sigmoids, as Endo-SemiS predicts. The uncertainty is the mean of their
    binary entropies in nats, between 0 and ln 2: the expected entropy of the pseudo-labels, with the networks in place
    of the stochastic passes, so that it costs nothing beyond the prediction.
    """
    each = torch.stack([one.float() for one in logits])
    sigmoids = torch.sigmoid(each)
    # h(sigmoid(z)) = softplus(z) - z sigmoid(z), finite wherever z is
    entropies = torch.nn.functional.softplus(each) - each * sigmoids
    return sigmoids.mean(0), entropies.mean(0).clamp(min=0)


def mean(logits: Sequence[Tensor]) -> Tensor:
    """Return the networks' mean probability as the only map, (B, 1, C, H, W)."""
    return torch.stack([torch.sigmoid(one.float()) for one in logits]).mean(0)[:, None]


def mean_and_each(logits: Sequence[Tensor]) -> Tensor:
    """Return the networks' mean probability, then that of each, (B, 1 + networks, C, H, W)."""
    each = torch.stack([torch.sigmoid(one.float()) for one in logits])
    return torch.cat([each.mean(0, keepdim=True), each]).transpose(0, 1)


def mean_and_uncertainty(logits: Sequence[Tensor]) -> Tensor:
    """Return what `combine` does as maps, (B, 2, C, H, W)."""
    return torch.stack(combine(logits), dim=1)
