"""A model as one function of pictures, for runtimes that know nothing of endoseg: normalisation to mean inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from endoseg_cli.networks.architecture.unet import STRIDE, UNet
from endoseg_cli.networks.files.bundle import ModelCard

INPUT_NAME, OUTPUT_NAME = "image", "probability"


class Deployable(nn.Module):
    """The mean of the networks' sigmoids, as Endo-SemiS predicts, with the model's own normalisation before it.

    Takes float32 pictures (N, 3, H, W), RGB from 0 to 255, at the card's input size, N of any size from 1 on; returns
    probabilities (N, C, H, W) in [0, 1]. Nothing in it depends on the picture's values or on N, so it can be traced.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, card: ModelCard, networks: Sequence[UNet]) -> None:
        super().__init__()
        self.size = card.input_size
        self.networks = nn.ModuleList(networks)
        self.register_buffer("mean", torch.tensor(card.mean).view(3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(card.std).view(3, 1, 1) * 255)
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        height, width = self.size
        x = pad_known_sides((image - self.mean) / self.std, height, width)
        each = [torch.sigmoid(network.decode(network.encoder(x))) for network in cast("list[UNet]", self.networks)]
        return torch.stack(each).mean(0)[..., :height, :width]


def pad_known_sides(image: Tensor, height: int, width: int) -> Tensor:
    """Repeat the border as `unet.pad_to_stride` does, but by numbers known beforehand and by what every runtime has."""
    down, right = -height % STRIDE, -width % STRIDE
    if down:
        image = torch.cat([image, image[:, :, -1:].expand(-1, -1, down, -1)], dim=2)
    return torch.cat([image, image[..., -1:].expand(-1, -1, -1, right)], dim=3) if right else image
