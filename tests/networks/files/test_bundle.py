from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from endoseg_cli.errors import EndosegError, MissingInputError, OutputError, UsageError, WeightsError
from endoseg_cli.inference.predict.predictor import NetworkChoice, Predictor
from endoseg_cli.networks.architecture.unet import UNetConfig
from endoseg_cli.networks.files.bundle import Bundle, ModelCard, load_bundle, load_card, save_bundle
from tests.networks.tiny import TINY, save_to, tiny_bundle, tiny_network

Tensors = dict[str, torch.Tensor]


def contents(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Return the tensors of a model file and its metadata."""
    with safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()["endoseg"])
    return load_file(path), metadata


def write(path: Path, tensors: Tensors, metadata: object) -> Path:
    """Write a model file by hand."""
    save_file(tensors, path, metadata={"endoseg": metadata if isinstance(metadata, str) else json.dumps(metadata)})
    return path


def refusal(path: Path) -> EndosegError:
    """Return the error of loading a file, after checking that it is one line that names the file."""
    with pytest.raises(EndosegError) as caught:
        load_bundle(path)
    error = caught.value
    assert str(path) in error.message and not error.message.endswith("."), error.message
    assert len(error.message.splitlines()) == 1 and error.hint
    return error


@pytest.mark.parametrize("networks", [1, 2])
def test_a_model_comes_back_as_it_was(tmp_path: Path, networks: int) -> None:
    bundle = tiny_bundle(networks=networks)
    loaded = load_bundle(save_to(tmp_path, bundle))
    assert loaded.card == bundle.card == load_card(tmp_path / "model.safetensors")
    image = torch.randn(1, 3, 50, 70)
    for before, after in zip(bundle.networks, loaded.networks, strict=True):
        assert not after.training and all(parameter.dtype == torch.float32 for parameter in after.parameters())
        with torch.no_grad():
            assert torch.equal(before(image), after(image))


def test_a_loaded_network_can_be_trained_on(tmp_path: Path) -> None:
    network = load_bundle(save_to(tmp_path, tiny_bundle())).networks[0].train()
    network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    head = network.segmentation_head[0]
    assert isinstance(head, torch.nn.Conv2d) and head.weight.grad is not None and head.weight.grad.any()


def test_half_precision_halves_the_file_and_hardly_moves_a_weight(tmp_path: Path) -> None:
    bundle = tiny_bundle()
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_bundle(bundle, full)
    save_bundle(bundle, half, half=True)
    assert half.stat().st_size < 0.55 * full.stat().st_size
    before, after = load_bundle(full).networks[0].state_dict(), load_bundle(half).networks[0].state_dict()
    assert all(torch.allclose(before[name], after[name], rtol=1e-3, atol=1e-7) for name in before)
    assert all(tensor.dtype == torch.float16 for tensor in load_file(half).values())


def test_training_counters_are_not_stored(tmp_path: Path) -> None:
    assert not any("num_batches_tracked" in name for name in load_file(save_to(tmp_path, tiny_bundle())))


def test_saving_replaces_a_model_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    save_to(tmp_path, tiny_bundle())
    save_to(tmp_path, tiny_bundle(networks=1))
    assert load_card(tmp_path / "model.safetensors").networks == 1
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_model_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "model.safetensors", tmp_path):
        with pytest.raises(OutputError, match="cannot write the model to"):
            save_bundle(tiny_bundle(networks=1), path)
    assert sorted(file.name for file in tmp_path.parent.iterdir() if file.suffix == ".part") == []


def test_values_beyond_half_precision_are_refused_before_the_file_exists(tmp_path: Path) -> None:
    bundle = tiny_bundle(networks=1)
    bundle.networks[0].get_buffer("encoder.features.0.1.running_var").fill_(1e6)
    save_to(tmp_path, bundle, "full.safetensors")
    with pytest.raises(WeightsError, match="running_var holds values that are not finite"):
        save_bundle(bundle, tmp_path / "half.safetensors", half=True)
    assert [file.name for file in tmp_path.iterdir()] == ["full.safetensors"]


def test_no_file_is_a_missing_input(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path / "absent.safetensors"), MissingInputError)
    assert isinstance(refusal(tmp_path), MissingInputError)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 100, b"\xff" * 4096])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    error = refusal(path)
    assert isinstance(error, WeightsError) and "not a whole .safetensors file" in error.message


def test_a_pytorch_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save(tiny_network().state_dict(), tmp_path / "model.pth")
    assert ".pth checkpoints must be converted" in (refusal(tmp_path / "model.pth").hint or "")


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.999])
def test_a_truncated_model_is_refused(tmp_path: Path, random_model: Path, share: float) -> None:
    content = random_model.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(content[: int(len(content) * share)])
    assert "not a whole .safetensors file" in refusal(path).message


def test_tensors_without_our_metadata_are_refused(tmp_path: Path) -> None:
    for number, metadata in enumerate((None, {"format": "pt"})):
        path = tmp_path / f"{number}.safetensors"
        save_file({"weight": torch.zeros(1)}, path, metadata=metadata)
        assert "without endoseg's metadata" in refusal(path).message


@pytest.mark.parametrize(
    ("version", "hint"), [(2, "update endoseg"), (0, "train or import it again"), ("x", "again"), (None, "again")]
)
def test_another_format_version_is_refused(tmp_path: Path, random_model: Path, version: object, hint: str) -> None:
    tensors, metadata = contents(random_model)
    error = refusal(write(tmp_path / "m.safetensors", tensors, metadata | {"format_version": version}))
    assert f"has format version {version}" in error.message and "reads version 1" in error.message
    assert hint in (error.hint or "")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"text"', "{}", "\x00"])
def test_broken_metadata_are_refused(tmp_path: Path, text: str) -> None:
    assert "unreadable metadata" in refusal(write(tmp_path / "m.safetensors", {"a": torch.zeros(1)}, text)).message


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("unknown fields colour", {"colour": "blue"}),
    ("1 or 2 networks, found 3", {"networks": 3}),
    ("1 or 2 networks, found 1.0", {"networks": 1.0}),
    ("input size", {"input_size": [64]}),
    ("input size", {"input_size": [64.5, 64]}),
    ("input size", {"input_size": [0, 64]}),
    ("'int' has no len", {"input_size": 64}),
    ("expected 1 class names", {"class_names": []}),
    ("class names must differ and be fit for file names", {"class_names": ["../../elsewhere"]}),
    ("class names", {"class_names": [7]}),
    ("3 means and 3 positive deviations", {"std": [0, 1, 1]}),
    ("3 means and 3 positive deviations", {"mean": ["a", "b", "c"]}),
    ("3 means and 3 positive deviations", {"mean": [float("nan"), 0, 0]}),
    ("are texts", {"name": None}),
    ("are texts", {"scores": [1]}),
    ("not a mapping", {"architecture": None}),
    ("no field 'decoder_channels'", {"architecture": {}}),
    ("--encoder vgg", {"architecture": {"encoder": "vgg", "decoder_channels": [8] * 5}}),
    ("--decoder-channels", {"architecture": {"encoder": "mobilenet_v2", "decoder_channels": [8.0] * 5}}),
    ("no field 'decoder_channels'", {"second": {"encoder": "resnet18"}}),
    ("unexpected keyword argument 'depth'", {"architecture": {"depth": 4, "decoder_channels": [8] * 5}}),
]


@pytest.mark.parametrize(("message", "change"), CHANGES, ids=[message for message, _ in CHANGES])
def test_metadata_that_do_not_fit_are_refused(
    tmp_path: Path, random_model: Path, message: str, change: dict[str, Any]
) -> None:
    _, metadata = contents(random_model)
    error = refusal(write(tmp_path / "m.safetensors", {"a": torch.zeros(1)}, metadata | change))
    assert isinstance(error, WeightsError) and message in error.message


NAME = "network2.decoder.blocks.3.conv1.0.weight"


def lack(tensors: Tensors) -> None:
    del tensors[NAME]


def add(tensors: Tensors) -> None:
    tensors["network3.segmentation_head.0.bias"] = torch.zeros(1)


def reshape(tensors: Tensors) -> None:
    tensors[NAME] = tensors[NAME][:, 1:].contiguous()


def retype(tensors: Tensors) -> None:
    tensors[NAME] = tensors[NAME].double()


def spoil(tensors: Tensors) -> None:
    tensors[NAME][0, 0, 0, 0] = torch.nan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lack, f"lacks 1 tensors, first {NAME}"),
        (add, "has 1 tensors that do not belong to its architecture, first network3.segmentation_head.0.bias"),
        (reshape, f"tensor {NAME} has shape (8, 23, 3, 3), expected (8, 24, 3, 3)"),
        (retype, f"tensor {NAME} has type F64, expected F16 or F32"),
        (spoil, f"tensor {NAME} holds values that are not finite"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    tmp_path: Path, random_model: Path, change: Callable[[Tensors], None], message: str
) -> None:
    tensors, metadata = contents(random_model)
    change(tensors)
    error = refusal(write(tmp_path / "m.safetensors", tensors, metadata))
    assert isinstance(error, WeightsError) and message in error.message


def test_a_model_of_one_network_refuses_the_tensors_of_two(tmp_path: Path, random_model: Path) -> None:
    tensors, metadata = contents(random_model)
    error = refusal(write(tmp_path / "m.safetensors", tensors, metadata | {"networks": 1}))
    assert "do not belong to its architecture, first network2." in error.message


def test_loading_leaves_torchs_generator_alone(random_model: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    load_bundle(random_model)
    assert torch.equal(torch.rand(1), expected)


def test_scores_that_are_no_number_are_read_as_none(tmp_path: Path) -> None:
    bundle = tiny_bundle(networks=1)
    bundle = Bundle(card=replace(bundle.card, scores={"dice": float("nan")}), networks=bundle.networks)
    assert load_card(save_to(tmp_path, bundle)).scores == {"dice": None}


@pytest.mark.parametrize("names", [("a", "a"), ("a", "b/c"), ("a", ""), ("a", ".."), ("a", "b\\c")])
def test_class_names_must_make_two_folders(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="class names must differ"):
        ModelCard(architecture=replace(TINY, classes=2), networks=1, input_size=(64, 64), class_names=names)


def mixed_bundle() -> Bundle:
    """Return a model of two networks of different architectures."""
    other = replace(TINY, encoder="resnet18", decoder_channels=(8, 8, 4, 4, 4))
    bundle = tiny_bundle()
    networks = (bundle.networks[0], tiny_network(other, 1))
    return Bundle(card=replace(bundle.card, second=other), networks=networks)


def test_two_networks_may_be_of_different_architectures(tmp_path: Path) -> None:
    mixed = mixed_bundle()
    loaded = load_bundle(save_to(tmp_path, mixed))
    assert loaded.card == mixed.card and loaded.card.architectures == tuple(one.config for one in loaded.networks)
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    numbers: tuple[NetworkChoice, ...] = ("1", "2")
    each = [Predictor(loaded, device="cpu", precision="fp32", network=one).predict([frame]) for one in numbers]
    both = Predictor(loaded, device="cpu", precision="fp32").predict([frame])
    np.testing.assert_allclose(both, sum(each) / 2, atol=1e-6)


def test_a_model_of_one_architecture_is_a_file_that_older_versions_read(tmp_path: Path) -> None:
    with safe_open(save_to(tmp_path, tiny_bundle()), framework="pt") as file:
        assert "second" not in json.loads(file.metadata()["endoseg"])


def test_networks_that_take_pictures_normalised_in_different_ways_are_refused() -> None:
    with pytest.raises(UsageError, match="mobilenet_v2 and efficientnet_lite0 take pictures normalised in different"):
        replace(tiny_bundle().card, second=replace(TINY, encoder="efficientnet_lite0"))


@pytest.mark.parametrize(
    ("networks", "second"), [(1, TINY), (2, replace(TINY, classes=3))], ids=["one network", "other classes"]
)
def test_a_second_architecture_must_fit(networks: int, second: UNetConfig) -> None:
    with pytest.raises(UsageError, match="two networks of the same classes"):
        replace(tiny_bundle(networks=networks).card, second=second)
