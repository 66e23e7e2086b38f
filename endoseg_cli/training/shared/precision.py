"""The precision of convolutions, and that of the losses: never half, whatever autocast hands over."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """Return float64 as it is and every other dtype as float32; logarithms and variances need no less."""
    return values if values.dtype == torch.float64 else values.float()


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return fp32, bf16 or fp16 as given; for auto bf16 where the device computes in it, else fp32."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    # the instructions for dot products in bf16, without which it is slower than fp32
    has_bf16 = device.type == "cpu" and bool(
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
    return "bf16" if has_bf16 else "fp32"
