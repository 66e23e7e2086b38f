"""EfficientNet-Lite encoders with timm's parameter names (tf_efficientnet_lite0 to lite2) and TensorFlow's padding."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

LiteName = Literal["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
BATCH_NORM_EPS = 1e-3
"""What TensorFlow's EfficientNets add to the variance."""
# (kernel, stride, expansion, channels, blocks) of EfficientNet-B0's stages (Tan & Le, ICML 2019)
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
# the stages whose output is the last one at strides 2, 4, 8, 16, 32
_STAGE_ENDS = (0, 1, 2, 4, 6)
# factors on widths and depths
_SCALING: dict[str, tuple[float, float]] = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: where it is odd, the larger part lies right and below.

    Takes (B, C, H, W) and returns (B, C', ceil(H / stride), ceil(W / stride)).
    """

    def forward(self, input: Tensor) -> Tensor:
        half = torch.is_autocast_enabled(input.device.type)
        if half and self.groups > 1 and input.device.type == "cpu" and torch.is_grad_enabled():
            # oneDNN's gradients of depthwise convolutions take four times as long in bf16 as in fp32
            with torch.autocast("cpu", enabled=False):
                return self._convolve(input.float()).to(torch.get_autocast_dtype("cpu"))
        return self._convolve(input)

    def _convolve(self, x: Tensor) -> Tensor:
        size, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:  # symmetric
            return functional.conv2d(x, self.weight, self.bias, 1, size // 2, 1, self.groups)
        down, right = (max((math.ceil(side / stride) - 1) * stride + size - side, 0) for side in x.shape[-2:])
        padded = functional.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return functional.conv2d(padded, self.weight, self.bias, stride, 0, 1, self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS)


def _conv(in_channels: int, out_channels: int, size: int, stride: int = 1, groups: int = 1) -> SameConv2d:
    return SameConv2d(in_channels, out_channels, size, stride, groups=groups, bias=False)


class DepthwiseSeparable(nn.Module):
    """First block: depthwise convolution, then a projection."""

    def __init__(self, in_channels: int, out_channels: int, size: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = _conv(in_channels, in_channels, size, stride, groups=in_channels)
        self.bn1 = _norm(in_channels)
        self.conv_pw = _conv(in_channels, out_channels, 1)
        self.bn2 = _norm(out_channels)
        self.act = nn.ReLU6(inplace=True)
        self.use_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn2(self.conv_pw(self.act(self.bn1(self.conv_dw(x)))))
        return x + out if self.use_shortcut else out


class InvertedBottleneck(nn.Module):
    """Other blocks: expand 1x1, depthwise, project 1x1; without squeeze-and-excitation, as Lite has it."""

    def __init__(self, in_channels: int, out_channels: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = in_channels * expansion
        self.conv_pw = _conv(in_channels, width, 1)
        self.bn1 = _norm(width)
        self.conv_dw = _conv(width, width, size, stride, groups=width)
        self.bn2 = _norm(width)
        self.conv_pwl = _conv(width, out_channels, 1)
        self.bn3 = _norm(out_channels)
        self.act = nn.ReLU6(inplace=True)
        self.use_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        x_in = x
        x = self.act(self.bn1(self.conv_pw(x)))
        x = self.act(self.bn2(self.conv_dw(x)))
        out: Tensor = self.bn3(self.conv_pwl(x))
        return x_in + out if self.use_shortcut else out


class EfficientNetLiteEncoder(nn.Module):
    """EfficientNet-Lite up to its last 320- or 352-channel block; the classifier's layers are left out.

    Takes pictures (B, 3, H, W) as (x - 127) / 128 of 0..255 and returns five feature maps, strides 2 to 32.
    """

    def __init__(self, name: LiteName) -> None:
        super().__init__()
        wide, deep = _SCALING[name]
        self.conv_stem = _conv(3, 32, 3, 2)
        self.bn1 = _norm(32)
        self.act = nn.ReLU6(inplace=True)
        in_channels, stages, widths = 32, [], []
        for index, (size, stride, expansion, channels, count) in enumerate(_STAGES):
            out_channels = _round_to_8(channels * wide)
            is_end = index in (0, len(_STAGES) - 1)  # Lite keeps the first and the last stage at their depth
            blocks: list[nn.Module] = []
            for number in range(count if is_end else math.ceil(count * deep)):
                step = stride if number == 0 else 1
                blocks.append(
                    DepthwiseSeparable(in_channels, out_channels, size, step)
                    if expansion == 1
                    else InvertedBottleneck(in_channels, out_channels, size, step, expansion)
                )
                in_channels = out_channels
            stages.append(nn.Sequential(*blocks))
            widths.append(out_channels)
        self.blocks = nn.Sequential(*stages)
        self.out_channels = tuple(widths[end] for end in _STAGE_ENDS)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.act(self.bn1(self.conv_stem(image)))
        features = []
        for index, stage in enumerate(self.blocks):
            x = stage(x)
            if index in _STAGE_ENDS:
                features.append(x)
        return features


def _round_to_8(channels: float) -> int:
    """Return a width as TensorFlow rounds it: to a multiple of 8, never down by more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
