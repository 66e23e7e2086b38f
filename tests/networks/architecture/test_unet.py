from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from endoseg_cli.errors import UsageError
from endoseg_cli.networks.architecture.unet import DecoderBlock, UNet, UNetConfig, pad_to_stride
from endoseg_cli.training.strategies.dropout import DropoutDraw, split_factors
from tests.networks.tiny import TINY, tiny_network


def authors_checkpoint_shapes() -> dict[str, tuple[int, ...]]:
    """Write out the names and shapes of a released checkpoint: smp's ResNet-34 U-Net and the bottleneck reducer."""
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name: str, width: int) -> None:
        shapes.update({f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{name}.num_batches_tracked"] = ()

    shapes["encoder.conv1.weight"] = (64, 3, 7, 7)
    norm("encoder.bn1", 64)
    before = 64
    for layer, (depth, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], start=1):
        for index in range(depth):
            block = f"encoder.layer{layer}.{index}"
            shapes[f"{block}.conv1.weight"] = (width, before, 3, 3)
            norm(f"{block}.bn1", width)
            shapes[f"{block}.conv2.weight"] = (width, width, 3, 3)
            norm(f"{block}.bn2", width)
            if before != width:
                shapes[f"{block}.downsample.0.weight"] = (width, before, 1, 1)
                norm(f"{block}.downsample.1", width)
            before = width
    widths = [(512 + 256, 256), (256 + 128, 128), (128 + 64, 64), (64 + 64, 32), (32, 16)]
    for index, (inputs, width) in enumerate(widths):
        for conv, channels in (("conv1", inputs), ("conv2", width)):
            shapes[f"decoder.blocks.{index}.{conv}.0.weight"] = (width, channels, 3, 3)
            norm(f"decoder.blocks.{index}.{conv}.1", width)
    shapes |= {"segmentation_head.0.weight": (1, 16, 3, 3), "segmentation_head.0.bias": (1,)}
    shapes |= {"bottleneck_reducer.0.weight": (256, 512, 1, 1), "bottleneck_reducer.0.bias": (256,)}
    norm("bottleneck_reducer.1", 256)
    return shapes | {"bottleneck_reducer.3.weight": (128, 256, 1, 1), "bottleneck_reducer.3.bias": (128,)}


def test_a_state_dict_with_the_authors_names_loads_strictly() -> None:
    with torch.device("meta"):
        network = UNet(UNetConfig())
        checkpoint = {
            name: torch.empty(shape, dtype=torch.long if name.endswith("tracked") else torch.float)
            for name, shape in authors_checkpoint_shapes().items()
        }
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == authors_checkpoint_shapes()
    network.load_state_dict(checkpoint, strict=True, assign=True)


def test_the_papers_network_has_24_4_million_parameters() -> None:
    with torch.device("meta"):
        network = UNet(UNetConfig(reducer=False))
    assert sum(parameter.numel() for parameter in network.parameters()) == 24_436_369


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (33, 45), (31, 32), (32, 32), (64, 64), (65, 33)])
def test_logits_have_the_size_of_the_picture(size: tuple[int, int]) -> None:
    network = tiny_network(UNetConfig(encoder="mobilenet_v2", decoder_channels=(8, 6, 5, 4, 3), classes=3))
    with torch.no_grad():
        logits = network(torch.randn(2, 3, *size))
    assert logits.shape == (2, 3, *size) and logits.isfinite().all()


def test_padding_repeats_the_right_and_lower_border_and_is_cropped_away() -> None:
    network = tiny_network()
    image = torch.randn(1, 3, 40, 50)
    padded = pad_to_stride(image)
    assert padded.shape == (1, 3, 64, 64)
    assert torch.equal(padded[..., :40, :50], image)
    assert (padded[..., :40, 50:] == image[..., 49:]).all() and (padded[..., 40:, :] == padded[..., 39:40, :]).all()
    with torch.no_grad():
        assert torch.equal(network(image), network(padded)[..., :40, :50])
    assert pad_to_stride(padded) is padded


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one pixel, found 0 x 5"):
        pad_to_stride(torch.zeros(1, 3, 0, 5))


def test_a_decoder_block_repeats_pixels_and_puts_the_skip_behind_them() -> None:
    block = DecoderBlock(2, 3, 8, 0.1)
    x, skip = torch.randn(1, 2, 3, 4), torch.randn(1, 3, 6, 8)
    joined = block.join(x, skip)
    assert torch.equal(joined[:, :2], x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
    assert torch.equal(joined[:, 2:], skip) and torch.equal(block.join(x, None), joined[:, :2])


def dropout_masks(network: UNet, batch: int) -> list[torch.Tensor]:
    draw = DropoutDraw(config=network.config, seed=0, step=0, network=0)
    return split_factors(draw.factors("test", batch)[0], network.config)


def test_decoding_in_two_steps_is_decoding_in_one() -> None:
    network = tiny_network()
    with torch.no_grad():
        features = network.encode(torch.randn(2, 3, 64, 64))
        masks = dropout_masks(network, 2)
        start = network.decode_start(features)
        assert torch.equal(network.decode(features), network.decode_rest(start, features))
        with_masks = network.decode_rest(start, features, masks)
        assert torch.equal(network.decode(features, masks), with_masks)
        assert not torch.equal(with_masks, network.decode(features))


def test_masks_of_ones_are_no_dropout() -> None:
    network = tiny_network()
    with torch.no_grad():
        features = network.encode(torch.randn(2, 3, 32, 32))
        ones = [torch.ones_like(mask) for mask in dropout_masks(network, 2)]
        assert torch.equal(network.decode(features, ones), network.decode(features))


def test_explicit_masks_do_what_dropout2d_does() -> None:
    network = tiny_network(UNetConfig(encoder="mobilenet_v2", decoder_channels=(8, 8, 8, 8, 8), dropout=0.5))
    image = torch.randn(2, 3, 64, 64)
    drawn: list[torch.Tensor] = []

    def remember(module: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        kept = output.abs().amax((2, 3), keepdim=True) > 0
        assert torch.equal(output, inputs[0] * kept * 2)
        drawn.append(kept * 2.0)

    for module in network.modules():
        if isinstance(module, torch.nn.Dropout2d):
            module.train()
            module.register_forward_hook(remember)
    with torch.no_grad():
        random = network(image)
        assert len(drawn) == 10 and any((mask == 0).any() for mask in drawn)
        assert torch.equal(network.decode(network.encode(image), list(drawn)), random)


def test_dropout_lives_in_the_decoder_alone() -> None:
    network = tiny_network()
    places = [name for name, module in network.named_modules() if isinstance(module, torch.nn.Dropout2d)]
    assert places == [f"decoder.blocks.{i}.conv{j}.2" for i, j in itertools.product(range(5), (1, 2))]
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(image), network(image))
        network.decoder.train()
        assert all(torch.equal(a, b) for a, b in zip(network.encode(image), network.encode(image), strict=True))
        assert not torch.equal(network(image), network(image))


def test_the_reducer_quarters_the_bottleneck_and_is_optional() -> None:
    network = tiny_network()
    with torch.no_grad():
        reduced = network.reduce_bottleneck(network.encode(torch.randn(2, 3, 64, 96)))
    assert reduced.shape == (2, 80, 2, 3) and (reduced >= 0).all()
    without = UNet(UNetConfig(encoder=TINY.encoder, decoder_channels=TINY.decoder_channels, reducer=False))
    assert not any("reducer" in name for name in without.state_dict())


def test_every_parameter_but_the_reducers_gets_a_gradient() -> None:
    network = tiny_network().train()
    network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    without = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert without == {name for name, _ in network.named_parameters() if name.startswith("bottleneck_reducer")}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "vgg"}, "--encoder vgg is not known"),
        ({"decoder_channels": (8, 8)}, "--decoder-channels needs five widths"),
        ({"decoder_channels": (8, 8, 8, 8, 0)}, "found \\(8, 8, 8, 8, 0\\)"),
        ({"decoder_channels": (8, 8, 8, 8, 8.5)}, "--decoder-channels"),
        ({"decoder_channels": (10**9, 8, 8, 8, 8)}, "--decoder-channels"),
        ({"classes": 0}, "--classes must be 1 to"),
        ({"classes": 1.5}, "--classes"),
        ({"dropout": 1.0}, "--dropout must lie in"),
        ({"dropout": -0.1}, "--dropout"),
    ],
)
def test_impossible_settings_name_their_flag(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        UNetConfig(**settings)


@pytest.mark.parametrize("size", [(64, 96), (50, 33)])
def test_upsampling_by_transposed_convolutions_changes_neither_logits_nor_gradients(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = UNet(UNetConfig(encoder="resnet18", decoder_channels=(12, 10, 8, 6, 5), dropout=0.0)).double()
    picture = torch.randn(2, 3, *size, dtype=torch.float64)

    def study() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        network.zero_grad()
        logits = network(picture)
        logits.square().mean().backward()
        found = {name: value.grad for name, value in network.named_parameters() if value.grad is not None}
        return logits.detach(), {name: grad.clone() for name, grad in found.items()}

    names = list(network.state_dict())
    logits, gradients = study()
    network.transpose_upsampling()
    assert list(network.state_dict()) == names and network.transposes_upsampling
    other_logits, other_gradients = study()
    assert torch.allclose(other_logits, logits, atol=1e-10) and not torch.equal(other_logits, logits)
    for name, gradient in gradients.items():
        assert torch.allclose(other_gradients[name], gradient, atol=1e-10), name
    network.transpose_upsampling(on=False)
    assert torch.equal(study()[0], logits)


def test_a_transposing_network_follows_its_weights_without_gradients_too() -> None:
    torch.manual_seed(0)
    network = UNet(UNetConfig(encoder="resnet18", decoder_channels=(12, 10, 8, 6, 5))).double().eval()
    picture = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    network.transpose_upsampling()
    with torch.no_grad():
        for _ in range(2):
            network.transpose_upsampling(on=False)
            expected = network(picture)
            network.transpose_upsampling()
            assert torch.allclose(network(picture), expected, atol=1e-10)
            assert torch.equal(network(picture), network(picture))
            for parameter in network.parameters():
                parameter.mul_(1.5)
        state = {name: 0.5 * value for name, value in network.state_dict().items()}
        network.load_state_dict(state)
        found = network(picture)
        network.transpose_upsampling(on=False)
        assert torch.allclose(found, network(picture), atol=1e-10)
