"""Pictures as networks take them: the one place where bytes are scaled, for training and for use."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Normaliser:
    """(x / 255 - mean) / std of uint8 pictures (..., 3, H, W), RGB, on the device that they lie on."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        """`mean` and `std` are those of pictures in [0, 1]."""
        self.mean = torch.tensor(mean, device=device).view(3, 1, 1) * 255
        """(3, 1, 1), of pictures in [0, 255]."""
        self.std = torch.tensor(std, device=device).view(3, 1, 1) * 255
        """(3, 1, 1), of pictures in [0, 255]."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return pictures as float32."""
        return (images - self.mean) / self.std
