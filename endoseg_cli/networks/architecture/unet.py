"""The U-Net of Endo-SemiS: encoder, nearest-upsampling decoder with dropout, head, and bottleneck reducer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from endoseg_cli.errors import UsageError
from endoseg_cli.networks.architecture.encoder_names import ENCODER_NAMES, EncoderName
from endoseg_cli.networks.architecture.encoders import build_encoder
from endoseg_cli.networks.architecture.transposing import transposed_kernel

STRIDE = 32
"""Every picture is padded to a multiple of this inside the network."""
MAX_WIDTH = 8192
"""Most channels of a decoder block, and most classes: more is a mistake that would exhaust the memory."""


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """What a U-Net looks like; two networks of the same config have the same parameter names and shapes."""

    encoder: EncoderName = "resnet34"
    """Encoder architecture."""
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16)
    """Width of the five decoder blocks, coarsest first; narrower makes a lighter model."""
    classes: int = 1
    """Number of output classes, each its own binary (multi-label) channel."""
    dropout: float = 0.1
    """Probability of Dropout2d in every decoder convolution."""
    reducer: bool = True
    """Whether the network carries the bottleneck reducer that mutual learning needs."""

    def __post_init__(self) -> None:
        if self.encoder not in ENCODER_NAMES:
            raise UsageError(f"--encoder {self.encoder} is not known", hint=f"use one of {', '.join(ENCODER_NAMES)}")
        widths = self.decoder_channels
        if len(widths) != 5 or not all(type(width) is int and 1 <= width <= MAX_WIDTH for width in widths):
            raise UsageError(f"--decoder-channels needs five widths from 1 to {MAX_WIDTH}, found {widths}")
        if type(self.classes) is not int or not 1 <= self.classes <= MAX_WIDTH:
            raise UsageError(f"--classes must be 1 to {MAX_WIDTH}, found {self.classes}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout must lie in [0, 1), found {self.dropout}")


DropoutMasks = Sequence[Tensor]
"""One (B, C, 1, 1) tensor of channel factors (0 or 1/(1-p)) per decoder convolution, in order of use."""


class DecoderConv(nn.Sequential):
    """3x3 convolution without bias, BatchNorm, Dropout2d, ReLU; named as in the authors' checkpoints."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float) -> None:
        conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        nn.init.kaiming_uniform_(conv.weight, mode="fan_in", nonlinearity="relu")
        super().__init__(conv, nn.BatchNorm2d(out_channels), nn.Dropout2d(dropout), nn.ReLU(inplace=True))

    @property
    def convolution(self) -> nn.Conv2d:
        """The convolution; it has a bias where BatchNorm is folded into it."""
        layer = self[0]
        assert isinstance(layer, nn.Conv2d)
        return layer

    def before_dropout(self, x: Tensor) -> Tensor:
        """Return what the dropout is applied to; deterministic while BatchNorm is in eval mode."""
        out: Tensor = self[1](self[0](x))
        return out

    def convolve_part(self, x: Tensor, channels: slice) -> Tensor:
        """Return what some of the input channels contribute to the convolution; contributions add up."""
        return functional.conv2d(x, self.convolution.weight[:, channels], padding=1)

    def after_norm(self, x: Tensor, masks: Iterator[Tensor] | None) -> Tensor:
        """Apply the next of `masks` (or, without masks, the layer's own random dropout) and the ReLU."""
        out: Tensor = self[3](self[2](x) if masks is None else x * next(masks))
        return out

    def run(self, x: Tensor, masks: Iterator[Tensor] | None) -> Tensor:
        """Run the whole layer with explicit or random dropout."""
        return self.after_norm(self.before_dropout(x), masks)


class _KeptKernel:
    """A transposed kernel, and the weight it was made of, whose memory no other tensor can have meanwhile."""

    def __init__(self, weight: Tensor, kernel: Tensor) -> None:
        self.kernel = kernel
        self._weight, self._version = weight, weight._version

    def is_of(self, weight: Tensor) -> bool:
        """Whether a weight is that one and has not changed."""
        return (weight.data_ptr(), weight._version) == (self._weight.data_ptr(), self._version)


class DecoderBlock(nn.Module):
    """Nearest-neighbour upsampling by 2, concatenation of the skip, two decoder convolutions."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__()
        self.transposes = False
        """Whether it upsamples and convolves at once: the same numbers up to rounding, in less time on a CPU."""
        self._kept: _KeptKernel | None = None
        self.conv1 = DecoderConv(in_channels + skip_channels, out_channels, dropout)
        self.conv2 = DecoderConv(out_channels, out_channels, dropout)

    def join(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Upsample `x` and concatenate `skip`."""
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        return x if skip is None else torch.cat([x, skip], dim=1)

    def upsampled_part(self, x: Tensor) -> Tensor:
        """Return what `x`, upsampled, contributes to the first convolution, with its bias where BatchNorm is folded."""
        conv, channels = self.conv1.convolution, x.shape[1]
        if not self.transposes:
            return functional.conv2d(self.join(x, None), conv.weight[:, :channels], conv.bias, padding=1)
        return functional.conv_transpose2d(x, self._transposed(channels), conv.bias, stride=2, padding=1)

    def skip_part(self, skip: Tensor) -> Tensor:
        """Return what the skip contributes to the first convolution."""
        return self.conv1.convolve_part(skip, slice(-skip.shape[1], None))

    def convolve(self, x: Tensor, skip: Tensor | None, skip_part: Tensor | None = None) -> Tensor:
        """Return the first convolution of `join`; where `skip_part` is given, the skip is not convolved again."""
        if skip_part is None and not self.transposes:
            whole: Tensor = self.conv1[0](self.join(x, skip))
            return whole
        if skip_part is None and skip is not None:
            skip_part = self.skip_part(skip)
        below = self.upsampled_part(x)
        return below if skip_part is None else below + skip_part

    def _transposed(self, channels: int) -> Tensor:
        """Return the kernel for `upsampled_part`; without gradients, passes share it until the weight changes."""
        weight = self.conv1.convolution.weight
        if torch.is_grad_enabled() or weight.is_inference():
            return transposed_kernel(weight[:, :channels])
        kept = self._kept
        if kept is None or not kept.is_of(weight):
            kept = self._kept = _KeptKernel(weight.detach(), transposed_kernel(weight[:, :channels]).contiguous())
        return kept.kernel

    def before_dropout(self, x: Tensor, skip: Tensor | None, skip_part: Tensor | None = None) -> Tensor:
        """Return what the first dropout is applied to; deterministic while BatchNorm is in eval mode."""
        out: Tensor = self.conv1[1](self.convolve(x, skip, skip_part))
        return out

    def run(self, x: Tensor, skip: Tensor | None, skip_part: Tensor | None, masks: Iterator[Tensor] | None) -> Tensor:
        """Run the block on `x` with explicit or random dropout."""
        return self.conv2.run(self.conv1.after_norm(self.before_dropout(x, skip, skip_part), masks), masks)


class Decoder(nn.Module):
    """Five decoder blocks; the last one has no skip connection."""

    def __init__(self, encoder_channels: Sequence[int], widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        inputs = [encoder_channels[-1], *widths[:-1]]
        skips = [*reversed(encoder_channels[:-1]), 0]
        self.blocks = nn.ModuleList(
            DecoderBlock(i, s, o, dropout) for i, s, o in zip(inputs, skips, widths, strict=True)
        )


class UNet(nn.Module):
    """U-Net with a chosen encoder, as used twice in Endo-SemiS (networks f_1 and f_2).

    Takes pictures (B, 3, H, W), float, ImageNet-normalised, of any H and W; returns logits (B, C, H, W). Pictures
    are padded to a multiple of 32 by repeating their right and lower border, and the logits are cropped back.
    Parameter names are those of the authors' released checkpoints (resnet34) and torchvision's inside `encoder.`.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        channels = self.encoder.out_channels
        self.decoder = Decoder(channels, config.decoder_channels, config.dropout)
        head = nn.Conv2d(config.decoder_channels[-1], config.classes, 3, padding=1)
        nn.init.xavier_uniform_(head.weight)
        nn.init.zeros_(head.bias)  # type: ignore[arg-type]
        self.segmentation_head = nn.Sequential(head)
        self.bottleneck_reducer = _bottleneck_reducer(channels[-1]) if config.reducer else None

    def forward(self, image: Tensor) -> Tensor:
        features = self.encode(image)
        return self.decode(features)[..., : image.shape[-2], : image.shape[-1]]

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the five feature maps of the padded picture, strides 2 to 32, finest first."""
        features: list[Tensor] = self.encoder(pad_to_stride(image))
        return features

    def decode(self, features: Sequence[Tensor], dropout_masks: DropoutMasks | None = None) -> Tensor:
        """Return logits (B, C, 32 ceil(H/32), 32 ceil(W/32)) from the encoder's feature maps."""
        return self.decode_rest(self.decode_start(features), features, dropout_masks)

    def decode_start(self, features: Sequence[Tensor]) -> Tensor:
        """Run the decoder up to its first dropout; with BatchNorm in eval mode this part is deterministic."""
        return self.decoder_blocks[0].before_dropout(features[-1], features[-2])

    def decode_skips(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return what the skips add to the decoder's later blocks; no dropout comes before it."""
        blocks, skips = self.decoder_blocks[1:-1], reversed(features[:-2])
        return [block.skip_part(skip) for block, skip in zip(blocks, skips, strict=True)]

    def decode_rest(
        self,
        start: Tensor,
        features: Sequence[Tensor],
        dropout_masks: DropoutMasks | None = None,
        skip_parts: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Continue from `decode_start`, with explicit dropout masks where given.

        Several stochastic passes share `skip_parts` (see `decode_skips`).
        """
        masks = None if dropout_masks is None else iter(dropout_masks)
        first, *others = self.decoder_blocks
        x = first.conv2.run(first.conv1.after_norm(start, masks), masks)
        skips: list[Tensor | None] = [*reversed(features[:-2]), None]
        parts = [None] * len(others) if skip_parts is None else [*skip_parts, None]
        for block, skip, part in zip(others, skips, parts, strict=True):
            x = block.run(x, skip, part, masks)
        logits: Tensor = self.segmentation_head(x)
        return logits

    def reduce_bottleneck(self, features: Sequence[Tensor], *, last_relu: bool = True) -> Tensor:
        """Return the reduced bottleneck (B, C_bottleneck / 4, h, w) that mutual learning compares.

        The paper's reducer ends in a ReLU, behind which it can turn to all zeros.
        """
        assert self.bottleneck_reducer is not None, "this network was built without the bottleneck reducer"
        layers = self.bottleneck_reducer if last_relu else self.bottleneck_reducer[:-1]
        reduced: Tensor = layers(features[-1])
        return reduced

    def transpose_upsampling(self, *, on: bool = True) -> None:
        """Let the decoder upsample by transposed convolutions from here on, or not; parameters stay as they are.

        For CPUs (examples/performance.md); on GPUs it was not measured. Weights must not be written through `.data`.
        """
        for block in self.decoder_blocks:
            block.transposes = on

    @property
    def transposes_upsampling(self) -> bool:
        """Whether the decoder upsamples by transposed convolutions."""
        return all(block.transposes for block in self.decoder_blocks)

    @property
    def decoder_blocks(self) -> list[DecoderBlock]:
        """The five blocks of the decoder, coarsest first."""
        return [block for block in self.decoder.blocks if isinstance(block, DecoderBlock)]


def _bottleneck_reducer(channels: int) -> nn.Sequential:
    half, quarter = channels // 2, channels // 4
    squeeze = [nn.Conv2d(channels, half, 1), nn.BatchNorm2d(half), nn.ReLU(inplace=True)]
    return nn.Sequential(*squeeze, nn.Conv2d(half, quarter, 1), nn.ReLU())


def pad_to_stride(image: Tensor) -> Tensor:
    """Pad (B, C, H, W) at the right and the bottom to a multiple of 32 by repeating the border."""
    height, width = image.shape[-2:]
    if height < 1 or width < 1:
        raise UsageError(f"a picture must have at least one pixel, found {height} x {width}")
    down, right = -height % STRIDE, -width % STRIDE
    return functional.pad(image, (0, right, 0, down), mode="replicate") if down or right else image
