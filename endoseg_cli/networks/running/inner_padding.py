"""TensorFlow's one-sided padding made part of the kernel, so that no padded copy of the picture is made."""

from __future__ import annotations

import torch
from torch import nn

from endoseg_cli.networks.architecture.efficientnet import SameConv2d
from endoseg_cli.networks.architecture.unet import UNet


def pad_inside(network: UNet) -> UNet:
    """Let convolutions of stride 2 pad themselves, for prediction; change a network and return it.

    SAME pads an even side by k // 2 - 1 before and k // 2 behind, which torch cannot; a kernel that is larger by a row
    and a column of zeros before, with k // 2 on both sides, gives the same. Sides inside a U-Net are even, as pictures
    are padded to a multiple of 32.
    """
    for parent in list(network.encoder.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, SameConv2d) and layer.stride == (2, 2):
                setattr(parent, name, _padding_itself(layer))
    return network


def _padding_itself(layer: SameConv2d) -> nn.Conv2d:
    size = layer.kernel_size[0]
    wide = nn.Conv2d(
        layer.in_channels, layer.out_channels, size + 1, 2, size // 2, groups=layer.groups, bias=layer.bias is not None
    )
    kernel = torch.zeros_like(wide.weight)
    kernel[:, :, 1:, 1:] = layer.weight.detach()
    wide.weight, wide.bias = nn.Parameter(kernel), layer.bias
    return wide
