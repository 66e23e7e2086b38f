from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from endoseg_cli.networks.architecture.efficientnet import SameConv2d
from endoseg_cli.networks.architecture.transposing import transposed_kernel
from endoseg_cli.networks.architecture.unet import UNet, UNetConfig
from endoseg_cli.networks.running.fusion import fuse_for_prediction
from endoseg_cli.networks.running.prepared import prepared
from endoseg_cli.training.strategies.dropout import DropoutDraw, split_factors


def trained(config: UNetConfig) -> UNet:
    """A network whose BatchNorms have statistics of their own, as after training."""
    torch.manual_seed(3)
    network = UNet(config)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = 0.2 * torch.randn(module.num_features)
            module.running_var = 0.5 + torch.rand(module.num_features)
    return network.eval()


NARROW = (12, 10, 8, 6, 5)
CONFIGS = [
    UNetConfig(encoder="efficientnet_lite0", decoder_channels=NARROW, reducer=False),
    UNetConfig(encoder="resnet18", decoder_channels=NARROW, classes=3),
]


def test_a_transposed_convolution_gives_what_upsampling_and_a_convolution_give_borders_included() -> None:
    torch.manual_seed(0)
    picture, kernel = torch.randn(2, 4, 5, 7, dtype=torch.float64), torch.randn(3, 4, 3, 3, dtype=torch.float64)
    expected = functional.conv2d(functional.interpolate(picture, scale_factor=2, mode="nearest"), kernel, padding=1)
    found = functional.conv_transpose2d(picture, transposed_kernel(kernel), stride=2, padding=1)
    assert torch.allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.encoder)
@pytest.mark.parametrize("size", [(64, 96), (50, 33)])
def test_a_prepared_network_predicts_the_same_and_leaves_the_original_alone(
    config: UNetConfig, size: tuple[int, int]
) -> None:
    network, picture = trained(config), torch.randn(2, 3, *size)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        expected = network(picture)
        for reshape in (True, False):
            copy = prepared(network, torch.device("cpu"), reshape=reshape)
            assert copy.transposes_upsampling == reshape
            padded = [each for each in copy.modules() if isinstance(each, SameConv2d) and each.stride == (2, 2)]
            assert len(padded) == (0 if reshape or config.encoder == "resnet18" else 5)
            assert torch.allclose(copy(picture), expected, atol=1e-4 * float(expected.abs().max()))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_copy_for_another_device_or_of_a_transposing_network_is_right() -> None:
    network, picture = trained(CONFIGS[0]), torch.randn(2, 3, 64, 64)
    elsewhere = prepared(network, torch.device("meta"))
    assert not any(block.transposes for block in elsewhere.decoder_blocks)
    with torch.no_grad():
        expected = network(picture)
        network.transpose_upsampling()
        for reshape in (True, False):
            found = prepared(network, torch.device("cpu"), reshape=reshape)(picture)
            assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))
        with torch.autocast("cpu", torch.bfloat16):
            half = prepared(network, torch.device("cpu"))(picture)
        assert float((half.float() - expected).abs().mean()) < 0.02 * float(expected.abs().max())


def test_stochastic_passes_of_folded_and_transposing_networks_share_what_the_skips_add() -> None:
    config = CONFIGS[0]
    network, picture = trained(config), torch.randn(2, 3, 64, 64)
    folded = fuse_for_prediction(network)
    transposing = fuse_for_prediction(network)
    transposing.transpose_upsampling()
    masks = split_factors(DropoutDraw(config=config, seed=1, step=0, network=0).factors("weak-1", 2, 1)[0], config)
    with torch.no_grad():
        features = folded.encode(picture)
        expected = folded.decode(features, masks)
        assert not torch.allclose(expected, folded.decode(features), atol=1e-3), "the masks drop something"
        for other in (folded, transposing):
            start, skips = other.decode_start(features), other.decode_skips(features)
            found = other.decode_rest(start, features, masks, skips)
            assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))
