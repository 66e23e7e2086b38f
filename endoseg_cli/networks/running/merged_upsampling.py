"""A network for prediction whose decoder upsamples by transposed convolutions, with kernels made once."""

from __future__ import annotations

from torch import Tensor, nn

from endoseg_cli.networks.architecture.transposing import transposed_kernel
from endoseg_cli.networks.architecture.unet import DecoderBlock, UNet


def merge_upsampling(network: UNet) -> UNet:
    """Let a network whose BatchNorms are folded (`fuse_for_prediction`) upsample so; change it and return it.

    Logits stay the same up to rounding. The network can neither be trained nor stored any more.
    """
    network.decoder.blocks = nn.ModuleList(_MergedBlock(block) for block in network.decoder_blocks)
    return network


class _MergedBlock(DecoderBlock):
    """A decoder block whose first convolution is in two parts, of which one reads the smaller picture as it is."""

    def __init__(self, block: DecoderBlock) -> None:
        nn.Module.__init__(self)
        self.conv1, self.conv2 = block.conv1, block.conv2
        self.skip_channels, self.transposes = block.skip_channels, True
        whole = block.conv1[0]
        assert isinstance(whole, nn.Conv2d) and whole.bias is not None, "BatchNorm is folded first"
        kernel, below = whole.weight.detach(), whole.in_channels - block.skip_channels
        self.upsampled = nn.ConvTranspose2d(below, whole.out_channels, 4, stride=2, padding=1)
        self.upsampled.weight = nn.Parameter(transposed_kernel(kernel[:, :below]).contiguous())
        self.upsampled.bias = whole.bias
        self.beside = None
        if block.skip_channels:
            self.beside = nn.Conv2d(block.skip_channels, whole.out_channels, 3, padding=1, bias=False)
            self.beside.weight = nn.Parameter(kernel[:, below:].contiguous())
        self.conv1[0] = nn.Identity()

    def upsampled_part(self, x: Tensor) -> Tensor:
        part: Tensor = self.upsampled(x)
        return part

    def skip_part(self, skip: Tensor) -> Tensor:
        assert self.beside is not None, "only a block with a skip is asked for its part"
        part: Tensor = self.beside(skip)
        return part
