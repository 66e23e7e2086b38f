"""Encoders of the U-Net: ResNet-18/34/50 and MobileNetV2 (torchvision's names), EfficientNet-Lite (timm's)."""

from __future__ import annotations

from torch import Tensor, nn

from endoseg_cli.networks.architecture.efficientnet import EfficientNetLiteEncoder
from endoseg_cli.networks.architecture.encoder_names import EncoderName

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and standard deviation of the input, RGB in [0, 1]."""
IMAGENET: Normalisation = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LITE: Normalisation = ((127 / 255,) * 3, (128 / 255,) * 3)


def normalisation(name: EncoderName) -> Normalisation:
    """Return what an encoder's ImageNet weights take their input normalised with: (x - 127) / 128 for the Lite ones."""
    return LITE if name.startswith("efficientnet_lite") else IMAGENET


class BasicBlock(nn.Module):
    """Residual block of ResNet-18 and ResNet-34: two 3x3 convolutions."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.relu(self.bn2(self.conv2(x)) + shortcut)
        return out


class Bottleneck(nn.Module):
    """Residual block of ResNet-50: 1x1, 3x3 (with the stride, as torchvision has it), 1x1."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        out: Tensor = self.relu(self.bn3(self.conv3(x)) + shortcut)
        return out


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


class ResNetEncoder(nn.Module):
    """ResNet without its classifier; the first feature map is the one before max-pooling."""

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], depths: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        e = block.expansion
        self.layer1 = _residual_stage(block, 64, 64, depths[0], stride=1)
        self.layer2 = _residual_stage(block, 64 * e, 128, depths[1], stride=2)
        self.layer3 = _residual_stage(block, 128 * e, 256, depths[2], stride=2)
        self.layer4 = _residual_stage(block, 256 * e, 512, depths[3], stride=2)
        self.out_channels = (64, 64 * e, 128 * e, 256 * e, 512 * e)
        _initialise(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        features = [self.relu(self.bn1(self.conv1(image)))]
        features.append(self.layer1(self.maxpool(features[-1])))
        for layer in (self.layer2, self.layer3, self.layer4):
            features.append(layer(features[-1]))
        return features


def _residual_stage(
    block: type[BasicBlock] | type[Bottleneck], in_channels: int, width: int, depth: int, stride: int
) -> nn.Sequential:
    blocks = [block(in_channels, width, stride)]
    blocks += [block(width * block.expansion, width, 1) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


class InvertedResidual(nn.Module):
    """MobileNetV2 block: expand 1x1, depthwise 3x3, project 1x1."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = in_channels * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_conv_bn_relu6(in_channels, width, 1)]
        layers.append(_conv_bn_relu6(width, width, 3, stride, groups=width))
        layers += [nn.Conv2d(width, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)]
        self.conv = nn.Sequential(*layers)
        self.use_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return x + out if self.use_shortcut else out


def _conv_bn_relu6(in_channels: int, out_channels: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU6(inplace=True))


class MobileNetV2Encoder(nn.Module):
    """MobileNetV2 up to its last bottleneck (320 channels); the 1,280-channel classifier layer is left out."""

    # (expansion, channels, blocks, stride) of torchvision's mobilenet_v2
    _SETTINGS = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    # index of the last block at each stride 2, 4, 8, 16, 32
    _STAGE_ENDS = (1, 3, 6, 13, 17)

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_conv_bn_relu6(3, 32, 3, 2)]
        in_channels = 32
        for expansion, channels, count, first_stride in self._SETTINGS:
            for index in range(count):
                blocks.append(InvertedResidual(in_channels, channels, first_stride if index == 0 else 1, expansion))
                in_channels = channels
        self.features = nn.Sequential(*blocks)
        self.out_channels = (16, 24, 32, 96, 320)
        _initialise(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        features = []
        x = image
        for index, block in enumerate(self.features):
            x = block(x)
            if index in self._STAGE_ENDS:
                features.append(x)
        return features


def _initialise(encoder: nn.Module) -> None:
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def build_encoder(name: EncoderName) -> ResNetEncoder | MobileNetV2Encoder | EfficientNetLiteEncoder:
    """Return the encoder called `name`, randomly initialised (He et al. 2015) from torch's generator."""
    match name:
        case "resnet18":
            return ResNetEncoder(BasicBlock, (2, 2, 2, 2))
        case "resnet34":
            return ResNetEncoder(BasicBlock, (3, 4, 6, 3))
        case "resnet50":
            return ResNetEncoder(Bottleneck, (3, 4, 6, 3))
        case "mobilenet_v2":
            return MobileNetV2Encoder()
        case "efficientnet_lite0" | "efficientnet_lite1" | "efficientnet_lite2":
            encoder = EfficientNetLiteEncoder(name)
            _initialise(encoder)
            return encoder
