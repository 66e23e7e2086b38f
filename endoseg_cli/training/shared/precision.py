"""The precision of convolutions, and that of the losses: never half, whatever autocast hands over."""

from __future__ import annotations

import torch
from torch import Tensor

from endoseg_cli.networks.running.device import computes_bf16


def at_least_float32(values: Tensor) -> Tensor:
    """Return float64 as it is and every other dtype as float32; logarithms and variances need no less."""
    return values if values.dtype == torch.float64 else values.float()


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return fp32, bf16 or fp16 as given; for auto bf16 where the device computes in it, else fp32."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if device.type == "cpu" and computes_bf16() else "fp32"  # by other instructions it is the slower
