"""Nearest upsampling and the convolution behind it as one transposed convolution: the same sums in 4/9 of the work."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from endoseg_cli.networks.architecture.unet import DecoderBlock, UNet

# Behind upsampling by 2, the three taps of a row fall on two pixels of the smaller picture, another two for even rows
# than for odd ones. A row of this says which taps a tap of the transposed convolution, of four, is the sum of.
_TAPS = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def merge_upsampling(network: UNet) -> UNet:
    """Let a network whose BatchNorms are folded (`fuse_for_prediction`) do its upsampling so; change it and return it.

    Logits stay the same up to rounding. The network can neither be trained nor stored any more.
    """
    network.decoder.blocks = nn.ModuleList(_MergedBlock(block) for block in network.decoder_blocks)
    return network


def transposed_kernel(kernel: Tensor) -> Tensor:
    """Return the kernel (I, O, 4, 4) of a transposed convolution with stride 2 and padding 1.

    It gives what `kernel` (O, I, 3, 3), padding 1, gives behind nearest upsampling by 2, borders included.
    """
    taps = _TAPS.to(kernel)
    return torch.einsum("kr,oirs,ls->iokl", taps, kernel, taps).contiguous()


class _MergedBlock(DecoderBlock):
    """A decoder block whose first convolution reads the smaller picture as it is."""

    def __init__(self, block: DecoderBlock) -> None:
        nn.Module.__init__(self)
        self.conv1, self.conv2, self.skip_channels = block.conv1, block.conv2, block.skip_channels
        whole = block.conv1[0]
        assert isinstance(whole, nn.Conv2d) and whole.bias is not None, "BatchNorm is folded first"
        out_channels, below = whole.out_channels, whole.in_channels - block.skip_channels
        self.upsampled = nn.ConvTranspose2d(below, out_channels, 4, stride=2, padding=1)
        self.upsampled.weight = nn.Parameter(transposed_kernel(whole.weight.detach()[:, :below]))
        self.upsampled.bias = whole.bias
        self.beside = None
        if block.skip_channels:
            self.beside = nn.Conv2d(block.skip_channels, out_channels, 3, padding=1, bias=False)
            self.beside.weight = nn.Parameter(whole.weight.detach()[:, below:].contiguous())
        self.conv1[0] = nn.Identity()

    def skip_part(self, skip: Tensor) -> Tensor:
        assert self.beside is not None, "only a block with a skip is asked for its part"
        part: Tensor = self.beside(skip)
        return part

    def convolve(self, x: Tensor, skip: Tensor | None, skip_part: Tensor | None = None) -> Tensor:
        if skip_part is None and skip is not None:
            skip_part = self.skip_part(skip)
        out: Tensor = self.upsampled(x)
        return out if skip_part is None else out + skip_part
