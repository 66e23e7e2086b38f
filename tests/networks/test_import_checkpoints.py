from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from endoseg_cli.errors import MissingInputError, UsageError, WeightsError
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.networks.architecture.unet import UNetConfig
from endoseg_cli.networks.files.authors_checkpoint import import_checkpoints
from endoseg_cli.networks.files.bundle import load_bundle, save_bundle
from tests.networks.authors_unet import State, authors_logits, random_state


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def make_states(encoder: str = "resnet18", **options: object) -> tuple[State, State]:
    torch.manual_seed(0)
    return random_state(encoder, **options), random_state(encoder, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("encoder", ["resnet18", "resnet34", "resnet50"])
def test_probabilities_are_those_of_the_authors_networks(tmp_path: Path, encoder: str) -> None:
    states = make_states(encoder)
    files = [saved(tmp_path / f"net{number}.pth", state) for number, state in enumerate(states, start=1)]
    save_bundle(import_checkpoints(files, side=64, name="authors"), tmp_path / "model.safetensors")
    bundle = load_bundle(tmp_path / "model.safetensors")
    frame = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    scaled = torch.from_numpy(frame).permute(2, 0, 1)[None] / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    picture = (scaled - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    first, second = (torch.sigmoid(authors_logits(state, picture)) for state in states)
    expected = ((first + second) / 2)[0].numpy()

    assert bundle.card.architecture.encoder == encoder
    found = Predictor(bundle, device="cpu").predict([frame])[0]
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert expected.std() > 0.01 and not np.allclose(first.numpy(), second.numpy(), atol=0.01)


@pytest.mark.parametrize("form", ["module.", "training checkpoint", "state_dict"])
def test_all_forms_give_the_same_networks(tmp_path: Path, form: str) -> None:
    states = make_states()
    if form == "training checkpoint":
        content = {
            "epoch": 3,
            "model1_state_dict": states[0],
            "model2_state_dict": states[1],
            "optimizer": {"lr": 1e-4},
        }
        files = [saved(tmp_path / "both.pth", content)]
    else:
        prefixed = [{f"module.{name}": tensor for name, tensor in state.items()} for state in states]
        contents = prefixed if form == "module." else [{"epoch": 1, "state_dict": state} for state in prefixed]
        files = [saved(tmp_path / f"{number}.pth", content) for number, content in enumerate(contents)]
    bundle = import_checkpoints(files, side=256, name="x")
    assert bundle.card.input_size == (256, 256) and len(bundle.networks) == 2
    for network, state in zip(bundle.networks, states, strict=True):
        own = network.state_dict()
        assert all(torch.equal(own[name], state[name]) for name in state if "num_batches" not in name)


def test_a_single_network_without_reducer_and_with_classes(tmp_path: Path) -> None:
    state = make_states(classes=3, reducer=False, widths=(32, 16, 8, 8, 4))[0]
    bundle = import_checkpoints([saved(tmp_path / "net.pth", state)], side=128, name="x", licence="MIT")
    expected = UNetConfig(encoder="resnet18", decoder_channels=(32, 16, 8, 8, 4), classes=3, reducer=False)
    assert bundle.card.architecture == expected
    assert bundle.card.class_names == ("class1", "class2", "class3") and bundle.card.licence == "MIT"


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path: Path) -> None:
    file = saved(tmp_path / "net.pth", {"model1_state_dict": Hostile(tmp_path / "ran")})
    with pytest.raises(WeightsError, match="wants to run code") as caught:
        import_checkpoints([file], side=256, name="x")
    assert not (tmp_path / "ran").exists()
    assert "\n" not in caught.value.message and caught.value.hint is not None


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="wants to run code"):
        import_checkpoints([saved(tmp_path / "net.pth", torch.nn.Linear(1, 1))], side=256, name="x")


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    def fails(state: object, message: str) -> None:
        with pytest.raises(WeightsError, match=message):
            import_checkpoints([saved(tmp_path / "net.pth", state)], side=256, name="x")

    state = make_states()[0]
    fails({**state, "encoder.features.18.0.weight": torch.zeros(1280, 320, 1, 1)}, "1280 channels")
    fails({**state, "extra.weight": torch.zeros(1)}, r"unknown tensor extra\.weight")
    fails({name: t for name, t in state.items() if "layer4.1.bn2" not in name}, r"lacks encoder\.layer4\.1\.bn2")
    fails({**state, "encoder.bn1.bias": torch.zeros(3)}, r"encoder\.bn1\.bias has shape \(3,\), expected \(64,\)")
    fails({**state, "encoder.bn1.bias": torch.full((64,), torch.nan)}, "not finite")
    fails({**state, "encoder.layer3.2.conv1.weight": torch.zeros(1)}, "not resnet18, resnet34 or resnet50")
    fails({"weight": torch.zeros(1)}, "is not a checkpoint of Endo-SemiS")
    fails([1, 2], "holds no state dict")
    fails({}, "holds no state dict")


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    state = make_states()[0]
    whole = saved(tmp_path / "net.pth", state)
    (tmp_path / "half.pth").write_bytes(whole.read_bytes()[:-1000])
    (tmp_path / "text.pth").write_text("not a checkpoint")
    (tmp_path / "empty.pth").touch()
    for name in ("half.pth", "text.pth", "empty.pth"):
        with pytest.raises(WeightsError, match=name):
            import_checkpoints([tmp_path / name], side=256, name="x")
    with pytest.raises(MissingInputError, match="no checkpoint at"):
        import_checkpoints([tmp_path / "none.pth"], side=256, name="x")
    with pytest.raises(UsageError, match="1 or 2 networks, found 3"):
        import_checkpoints([whole, whole, whole], side=256, name="x")
    with pytest.raises(UsageError, match="--size"):
        import_checkpoints([whole], side=0, name="x")
    other = saved(tmp_path / "other.pth", make_states(classes=2)[0])
    with pytest.raises(WeightsError, match="both networks must be alike"):
        import_checkpoints([whole, other], side=256, name="x")
