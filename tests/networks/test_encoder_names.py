from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from endoseg_cli.errors import MissingInputError, WeightsError
from endoseg_cli.networks.architecture.encoder_names import EncoderName
from endoseg_cli.networks.architecture.unet import UNet, UNetConfig
from endoseg_cli.networks.files.pretrained import load_encoder_weights

STAGES = (1, 2, 3, 4, 3, 3, 1)


def make_network(encoder: EncoderName, seed: int) -> UNet:
    torch.manual_seed(seed)
    network = UNet(UNetConfig(encoder=encoder, decoder_channels=(8, 8, 8, 8, 8)))
    for tensor in network.encoder.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape))
    return network


def timm_layers(stage: int) -> dict[str, str]:
    """The layers of timm's blocks, and where torchvision keeps them within a block's `conv`."""
    if stage == 0:
        return {"conv_dw": "0.0", "bn1": "0.1", "conv_pw": "1", "bn2": "2"}
    return {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "conv_pwl": "2", "bn3": "3"}


def timm_mobilenet(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name torchvision's MobileNetV2 as timm's mobilenetv2_100 does, classifier included."""
    places = {"conv_stem": "features.0.0", "bn1": "features.0.1"}
    index = 1
    for stage, count in enumerate(STAGES):
        for block in range(count):
            for layer, place in timm_layers(stage).items():
                places[f"blocks.{stage}.{block}.{layer}"] = f"features.{index}.conv.{place}"
            index += 1
    named: dict[str, Tensor] = {}
    for layer, place in places.items():
        found = {
            name.removeprefix(f"{place}."): tensor for name, tensor in state.items() if name.startswith(f"{place}.")
        }
        named |= {f"{layer}.{parameter}": tensor for parameter, tensor in found.items()}
    assert len(named) == len(state)
    head = {"conv_head.weight": torch.zeros(1280, 320, 1, 1), "bn2.weight": torch.zeros(1280)}
    return {**named, **head, "classifier.weight": torch.zeros(1000, 1280)}


def check_loaded(network: UNet, source: UNet) -> None:
    own = network.encoder.state_dict()
    for name, tensor in source.encoder.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(own[name], tensor), name


def test_timm_names_of_mobilenet_v2(tmp_path: Path) -> None:
    source, network = make_network("mobilenet_v2", 0), make_network("mobilenet_v2", 1)
    state = {name: t.contiguous() for name, t in timm_mobilenet(dict(source.encoder.state_dict())).items()}
    save_file(state, tmp_path / "timm.safetensors")
    load_encoder_weights(network, tmp_path / "timm.safetensors")
    check_loaded(network, source)


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenet_v2"])
def test_torchvision_names_in_a_pth_file(encoder: EncoderName, tmp_path: Path) -> None:
    source, network = make_network(encoder, 0), make_network(encoder, 1)
    classifier = "fc.weight" if encoder == "resnet18" else "classifier.1.weight"
    torch.save({**source.encoder.state_dict(), classifier: torch.zeros(1000, 4)}, tmp_path / "weights.pth")
    load_encoder_weights(network, tmp_path / "weights.pth")
    check_loaded(network, source)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    network = make_network("resnet18", 0)
    state = dict(network.encoder.state_dict())
    torch.save({name: t for name, t in state.items() if name != "conv1.weight"}, tmp_path / "lacking.pth")
    torch.save({**state, "conv1.weight": torch.zeros(64, 1, 7, 7)}, tmp_path / "grey.pth")
    torch.save({**state, "more.weight": torch.zeros(1)}, tmp_path / "more.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name, message in (
        ("lacking", "lacks 1 tensors, first conv1.weight"),
        ("grey", r"conv1.weight has shape \(64, 1, 7, 7\)"),
        ("more", "unknown tensor more.weight"),
        ("text", "text.pth"),
    ):
        with pytest.raises(WeightsError, match=message):
            load_encoder_weights(network, tmp_path / f"{name}.pth")
    with pytest.raises(MissingInputError):
        load_encoder_weights(network, tmp_path / "none.pth")
