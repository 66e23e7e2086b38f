from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from endoseg_cli.errors import MissingInputError, WeightsError
from endoseg_cli.networks.architecture.encoder_names import EncoderName
from endoseg_cli.networks.architecture.encoders import build_encoder
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.files.bundle import Bundle
from endoseg_cli.networks.files.pretrained import load_encoder_weights, load_network_weights
from tests.networks.tiny import TINY, save_to, tiny_bundle, tiny_network

Tensors = dict[str, torch.Tensor]


def classifier(name: EncoderName) -> Tensors:
    """Return what torchvision would save for an ImageNet classifier."""
    torch.manual_seed(7)
    state = build_encoder(name).state_dict()
    if name == "mobilenet_v2":
        return state | {"features.18.0.weight": torch.zeros(1280, 320, 1, 1), "classifier.1.bias": torch.zeros(1000)}
    return state | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def save(path: Path, tensors: Tensors) -> Path:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_an_imagenet_classifier_starts_the_encoder(tmp_path: Path, name: EncoderName, suffix: str) -> None:
    network = UNet(replace(TINY, encoder=name))
    decoder = {key: value.clone() for key, value in network.decoder.state_dict().items()}
    state = classifier(name)
    load_encoder_weights(network, save(tmp_path / f"w{suffix}", state))
    loaded = network.encoder.state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in loaded)
    assert all(torch.equal(value, decoder[key]) for key, value in network.decoder.state_dict().items())


def test_counters_may_be_missing(tmp_path: Path) -> None:
    state = {name: value for name, value in classifier("mobilenet_v2").items() if "num_batches" not in name}
    load_encoder_weights(tiny_network(), save(tmp_path / "w.safetensors", state))


def lack(state: Tensors) -> None:
    del state["features.3.conv.2.weight"]


def add(state: Tensors) -> None:
    state["features.19.weight"] = torch.zeros(1)


def reshape(state: Tensors) -> None:
    state["features.0.0.weight"] = torch.zeros(32, 1, 3, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lack, "lacks 1 tensors, first features.3.conv.2.weight"),
        (add, "has an unknown tensor features.19.weight"),
        (reshape, r"features.0.0.weight has shape \(32, 1, 3, 3\), expected \(32, 3, 3, 3\)"),
    ],
)
def test_weights_that_do_not_fit_leave_the_encoder_alone(
    tmp_path: Path, change: Callable[[Tensors], None], message: str
) -> None:
    network, state = tiny_network(), classifier("mobilenet_v2")
    change(state)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        load_encoder_weights(network, save(tmp_path / "w.safetensors", state))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_another_architectures_weights_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "w.safetensors", classifier("resnet18"))
    with pytest.raises(WeightsError, match="does not fit the encoder mobilenet_v2"):
        load_encoder_weights(tiny_network(), path)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut", pickle.dumps(print), pickle.dumps([1])])
def test_files_of_another_kind_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=str(path)) as caught:
        load_encoder_weights(tiny_network(), path)
    assert len(caught.value.message.splitlines()) == 1


def test_a_checkpoint_with_more_than_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": classifier("mobilenet_v2"), "epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="not a plain state dict"):
        load_encoder_weights(tiny_network(), tmp_path / "w.pth")


def test_no_file_is_a_missing_input(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no encoder weights at"):
        load_encoder_weights(tiny_network(), tmp_path / "absent.pth")


def test_a_network_starts_from_the_same_network_of_a_model(random_model: Path) -> None:
    for number, seed in ((0, 0), (1, 1), (2, 0)):
        network = tiny_network(seed=99)
        load_network_weights(network, number, random_model)
        expected = tiny_network(seed=seed).state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


def test_of_two_architectures_both_networks_start_from_the_one_that_fits(tmp_path: Path) -> None:
    other = replace(TINY, encoder="resnet18")
    bundle = tiny_bundle()
    networks = (bundle.networks[0], tiny_network(other, 1))
    path = save_to(tmp_path, Bundle(card=replace(bundle.card, second=other), networks=networks))
    for number in (0, 1):
        for source in networks:
            network = tiny_network(source.config, seed=99)
            load_network_weights(network, number, path)
            expected = source.state_dict()
            assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


def test_a_model_of_another_architecture_is_refused_by_what_differs(random_model: Path) -> None:
    network = UNet(replace(TINY, decoder_channels=(9, 8, 8, 8, 8)))
    with pytest.raises(WeightsError) as caught:
        load_network_weights(network, 0, random_model)
    assert "decoder_channels (8, 8, 8, 8, 8) instead of (9, 8, 8, 8, 8)" in caught.value.message
    assert "encoder " not in caught.value.message and str(random_model) in caught.value.message
