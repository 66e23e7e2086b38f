"""Fold BatchNorm into the convolution before it: the same numbers for prediction, at less cost."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

Network = TypeVar("Network", bound=nn.Module)


def fuse_for_prediction(network: Network) -> Network:
    """Return a copy of a network in eval mode whose BatchNorms are folded into their convolutions.

    In this project's networks a BatchNorm always follows the convolution that its parent registered just before it.
    Outputs stay the same up to rounding; the copy cannot be trained.
    """
    fused = copy.deepcopy(network).eval()
    for parent in list(fused.modules()):
        for (_, first), (next_name, second) in pairwise(list(parent.named_children())):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d | nn.SyncBatchNorm):
                _fold(second, first)
                setattr(parent, next_name, nn.Identity())
    return fused


def _fold(norm: nn.BatchNorm2d | nn.SyncBatchNorm, conv: nn.Conv2d) -> None:
    """Give a convolution the weights that also do what the BatchNorm behind it does."""
    assert norm.running_mean is not None and norm.running_var is not None, "networks here keep running statistics"
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
