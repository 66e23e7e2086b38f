"""The precision of the losses: never half, whatever autocast hands over."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """Return float64 as it is and every other dtype as float32; logarithms and variances need no less."""
    return values if values.dtype == torch.float64 else values.float()
