from __future__ import annotations

import pytest
import torch

from endoseg_cli.networks.architecture.encoder_names import ENCODER_NAMES, EncoderName
from endoseg_cli.networks.architecture.encoders import build_encoder

# Learned parameters of torchvision's classifiers (as its documentation lists them) without what a U-Net leaves out:
# fc of the ResNets; features.18 (320 -> 1280, with BatchNorm) and the classifier of MobileNetV2.
PARAMETERS: dict[EncoderName, int] = {
    "resnet18": 11_689_512 - 513 * 1000,
    "resnet34": 21_797_672 - 513 * 1000,
    "resnet50": 25_557_032 - 2049 * 1000,
    "mobilenet_v2": 3_504_872 - (320 * 1280 + 2 * 1280) - 1281 * 1000,
    # timm's tf_efficientnet_lite0 to lite2, without conv_head, bn2 and classifier
    "efficientnet_lite0": 4_652_008 - (320 * 1280 + 2 * 1280) - 1281 * 1000,
    "efficientnet_lite1": 5_416_680 - (320 * 1280 + 2 * 1280) - 1281 * 1000,
    "efficientnet_lite2": 6_092_072 - (352 * 1280 + 2 * 1280) - 1281 * 1000,
}


@pytest.mark.parametrize("name", ENCODER_NAMES)
def test_parameters_are_as_many_as_torchvision_has(name: EncoderName) -> None:
    with torch.device("meta"):
        encoder = build_encoder(name)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", ENCODER_NAMES)
def test_five_feature_maps_of_strides_2_to_32(name: EncoderName) -> None:
    encoder = build_encoder(name).eval()
    with torch.no_grad():
        features = encoder(torch.randn(2, 3, 64, 96))
    shapes = [tuple(feature.shape) for feature in features]
    assert shapes == [(2, width, 64 >> i, 96 >> i) for i, width in enumerate(encoder.out_channels, start=1)]


def test_resnet_widths_are_the_papers() -> None:
    with torch.device("meta"):
        assert build_encoder("resnet34").out_channels == (64, 64, 128, 256, 512)


@pytest.mark.parametrize(
    ("encoder", "names"),
    [
        (
            "mobilenet_v2",
            {
                "features.0.0.weight": (32, 3, 3, 3),
                "features.0.1.running_var": (32,),
                "features.1.conv.0.0.weight": (32, 1, 3, 3),
                "features.1.conv.1.weight": (16, 32, 1, 1),
                "features.1.conv.2.bias": (16,),
                "features.2.conv.0.0.weight": (96, 16, 1, 1),
                "features.2.conv.1.0.weight": (96, 1, 3, 3),
                "features.2.conv.2.weight": (24, 96, 1, 1),
                "features.17.conv.2.weight": (320, 960, 1, 1),
                "features.17.conv.3.running_mean": (320,),
            },
        ),
        (
            "efficientnet_lite0",
            {
                "conv_stem.weight": (32, 3, 3, 3),
                "bn1.running_var": (32,),
                "blocks.0.0.conv_dw.weight": (32, 1, 3, 3),
                "blocks.0.0.conv_pw.weight": (16, 32, 1, 1),
                "blocks.2.0.conv_dw.weight": (144, 1, 5, 5),
                "blocks.6.0.conv_pwl.weight": (320, 1152, 1, 1),
                "blocks.6.0.bn3.bias": (320,),
            },
        ),
        (
            "resnet50",
            {
                "conv1.weight": (64, 3, 7, 7),
                "layer1.0.conv1.weight": (64, 64, 1, 1),
                "layer1.0.conv3.weight": (256, 64, 1, 1),
                "layer1.0.downsample.0.weight": (256, 64, 1, 1),
                "layer2.0.conv2.weight": (128, 128, 3, 3),
                "layer4.2.bn3.weight": (2048,),
            },
        ),
        ("resnet18", {"layer2.0.downsample.1.running_mean": (128,), "layer4.1.conv2.weight": (512, 512, 3, 3)}),
    ],
)
def test_parameter_names_are_torchvisions(encoder: EncoderName, names: dict[str, tuple[int, ...]]) -> None:
    with torch.device("meta"):
        state = build_encoder(encoder).state_dict()
    assert {name: tuple(state[name].shape) for name in names} == names
    assert "features.18.0.weight" not in state and "fc.weight" not in state


def test_the_resnet50_stride_sits_in_the_3x3_convolution() -> None:
    # as in torchvision; with the stride in the first 1x1, its weights would give other features
    with torch.device("meta"):
        block = build_encoder("resnet50").get_submodule("layer2.0")
    assert [block.get_submodule(f"conv{i}").stride for i in (1, 2, 3)] == [(1, 1), (2, 2), (1, 1)]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_random_initialisation_follows_torchs_seed(name: EncoderName) -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(next(build_encoder(name).parameters()).detach())
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
