from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from endoseg_cli.errors import UsageError, WeightsError
from endoseg_cli.networks.architecture.corrective import CorrectiveConfig, CorrectiveNetwork, limit_gate
from endoseg_cli.networks.files.bundle import Bundle, load_bundle, load_card, save_bundle
from endoseg_cli.networks.running.fusion import fuse_for_prediction
from tests.networks.tiny import awake_network, tiny_bundle, with_corrective

Window = tuple[Tensor, Tensor, Tensor]


def random_window(frames: int = 5, *, side: int = 64, classes: int = 1, batch: int = 1) -> Window:
    """Return pictures, probabilities and uncertainties, the probabilities up to 1e-6 and 1 - 1e-6."""
    torch.manual_seed(3)
    logit = 8 * torch.randn(batch, frames, classes, side, side).clamp(-1.72, 1.72)
    return torch.randn(batch, frames, 3, side, side), logit.sigmoid(), 0.7 * torch.rand_like(logit)


@pytest.mark.parametrize(("side", "classes", "frames"), [(64, 1, 5), (50, 2, 1), (100, 1, 3)])
def test_an_untrained_network_changes_nothing(side: int, classes: int, frames: int) -> None:
    images, probability, uncertainty = random_window(frames, side=side, classes=classes)
    network = CorrectiveNetwork(CorrectiveConfig(classes=classes)).eval()
    corrected = torch.sigmoid(network(images, probability, uncertainty))
    assert corrected.shape == probability[:, 0].shape
    assert (corrected - probability[:, frames // 2]).abs().max() < 1e-4


def test_frames_encoded_one_by_one_fuse_to_what_forward_gives() -> None:
    images, probability, uncertainty = random_window(side=100, batch=2)
    network = awake_network()
    with torch.inference_mode():
        kept = [network.encode(images[:, t], probability[:, t], uncertainty[:, t]) for t in range(5)]
        fused = network.fuse(kept, 2, [-2, -1, 0, 1, 2])
        assert torch.allclose(fused, network(images, probability, uncertainty), atol=1e-4)
        assert not torch.allclose(fused, network.fuse(kept[2:3], 0, [0]), atol=1e-3)


def test_a_network_of_its_own_size_sees_frames_at_that_and_gives_maps_as_it_got_them() -> None:
    images, probability, uncertainty = random_window(side=100)
    network = awake_network(CorrectiveConfig(size=(64, 64)))
    plain = awake_network()
    plain.load_state_dict(network.state_dict())
    small = [each.flatten(0, 1) for each in (images, probability, uncertainty)]
    small = [functional.interpolate(each, (64, 64), mode="bilinear", antialias=True)[None] for each in small]
    with torch.inference_mode():
        corrected = network(images, probability, uncertainty)
        change = corrected - torch.logit(probability[:, 2])
        expected = plain(*small) - torch.logit(small[1][:, 2])
    assert corrected.shape == probability[:, 2].shape and change.abs().max() > 0.1
    back = functional.interpolate(change, (64, 64), mode="bilinear", antialias=True)
    assert torch.corrcoef(torch.stack([back.flatten(), expected.flatten()]))[0, 1] > 0.8


def test_the_size_it_works_at_costs_nothing_where_it_is_that_of_the_frames() -> None:
    window = random_window(side=64)
    network = awake_network(CorrectiveConfig(size=(64, 64)))
    plain = awake_network()
    plain.load_state_dict(network.state_dict())
    with torch.inference_mode():
        assert torch.equal(network(*window), plain(*window))


def test_folding_for_prediction_keeps_the_output() -> None:
    window = random_window(batch=2)
    network = awake_network()
    with torch.inference_mode():
        assert torch.allclose(fuse_for_prediction(network)(*window), network(*window), atol=1e-3)


def test_the_order_of_the_neighbours_and_their_times_matter() -> None:
    images, probability, uncertainty = random_window()
    network = awake_network()
    with torch.inference_mode():
        kept = [network.encode(images[:, t], probability[:, t], uncertainty[:, t]) for t in range(5)]
        forth = network.fuse(kept, 2, [-2, -1, 0, 1, 2])
        back = network.fuse(kept[::-1], 2, [-2, -1, 0, 1, 2])
        slow = network.fuse(kept, 2, [-8, -4, 0, 4, 8])
        same = network.fuse(kept[::-1], 2, [2, 1, 0, -1, -2])
    assert torch.allclose(forth, same, atol=1e-4)
    assert (forth - back).abs().max() > 1e-3 and (forth - slow).abs().max() > 1e-3


def test_gradients_reach_pictures_and_predictions_of_every_neighbour() -> None:
    images, probability, uncertainty = random_window()
    for tensor in (images, probability):
        tensor.requires_grad_()
    torch.autograd.backward(awake_network()(images, probability, uncertainty).square().mean())
    for tensor in (images, probability):
        assert tensor.grad is not None
        assert all(tensor.grad[:, place].abs().sum() > 0 for place in range(5))


def test_training_moves_every_parameter() -> None:
    network = awake_network().train()
    torch.autograd.backward(network(*random_window(batch=2)).square().mean())
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert still == []


def test_an_emptied_prediction_can_be_filled_from_a_neighbour() -> None:
    """A few steps on one window: the centre says 1e-6 where its neighbours, moved by 12 pixels, see a lesion."""
    images, _, uncertainty = random_window(frames=3)
    probability, truth = torch.full((1, 3, 1, 64, 64), 1e-6), torch.zeros(1, 1, 64, 64)
    truth[..., 20:40, 20:40] = 1
    probability[:, 0, :, 20:40, 8:28] = probability[:, 2, :, 20:40, 32:52] = 1 - 1e-6
    torch.manual_seed(0)
    network = CorrectiveNetwork(CorrectiveConfig(window=3))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(15):
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(images, probability, uncertainty), truth)
        torch.autograd.backward(loss)
        optimiser.step()
    found = network(images, probability, uncertainty) > 0
    overlap = 2 * (found & (truth > 0)).sum() / (found.sum() + truth.sum())
    assert overlap > 0.8


def gated_network(classes: int = 1) -> CorrectiveNetwork:
    """Return a network that puts the neighbours' witness in place of the prediction."""
    network = CorrectiveNetwork(CorrectiveConfig(classes=classes)).eval()
    with torch.no_grad():
        assert network.head.bias is not None
        network.head.bias.fill_(1)
    return network


def test_an_open_gate_lets_the_neighbours_probability_through() -> None:
    images, probability, uncertainty = random_window(classes=2, side=50)
    probability[:, :, 0], probability[:, :, 1] = 0.9, 0.3
    probability[:, 2] = 0.01
    network = gated_network(2)
    with torch.no_grad():
        network.fine.empty_key.fill_(-1e3)  # never looked at
        found = torch.sigmoid(network(images, probability, uncertainty))
    assert torch.allclose(found[:, 0], torch.full_like(found[:, 0], 0.9), atol=1e-3)
    assert torch.allclose(found[:, 1], torch.full_like(found[:, 1], 0.3), atol=1e-3)


def test_the_witness_is_the_frame_itself_where_there_is_no_other() -> None:
    images, probability, uncertainty = random_window(1)
    probability[:] = 0.7
    found = torch.sigmoid(gated_network()(images, probability, uncertainty))
    assert torch.allclose(found, torch.full_like(found, 0.7), atol=1e-4)


def test_nothing_is_drawn_that_no_frame_showed() -> None:
    images, probability, uncertainty = random_window(batch=2)
    probability = 0.2 + 0.3 * probability
    with torch.inference_mode():
        found = torch.sigmoid(awake_network()(images, probability, uncertainty))
    assert (found - probability[:, 2]).abs().max() > 1e-3
    assert found.min() > 0.2 - 1e-5 and found.max() < 0.5 + 1e-5


def test_a_closed_gate_can_open_again() -> None:
    x = torch.tensor([-1.0, -1.0, 0.0, 0.5, 1.0, 2.0, 2.0], requires_grad=True)
    limited = limit_gate(x)
    assert limited.tolist() == [0, 0, 0, 0.5, 1, 1, 1]
    torch.autograd.backward(limited, torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0]))
    assert x.grad is not None and x.grad.tolist() == [0, -1, 1, 1, -1, 1, 0]


@pytest.mark.parametrize("half", [False, True])
def test_a_model_keeps_its_corrective_network(tmp_path: Path, half: bool) -> None:
    bundle = with_corrective(tiny_bundle())
    path = tmp_path / "model.safetensors"
    save_bundle(bundle, path, half=half)
    loaded = load_bundle(path)
    assert loaded.card == bundle.card == load_card(path)
    assert loaded.corrective is not None and bundle.corrective is not None and not loaded.corrective.training
    before, after = bundle.corrective.state_dict(), loaded.corrective.state_dict()
    tolerance = 1e-3 if half else 0
    stored = [name for name in before if not name.endswith("num_batches_tracked")]
    assert all(torch.allclose(before[name], after[name], rtol=tolerance, atol=tolerance) for name in stored)


def test_a_model_without_it_says_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(tiny_bundle(), path)
    assert b"corrective" not in path.read_bytes()
    assert load_bundle(path).corrective is None


def test_damaged_corrective_tensors_are_refused(tmp_path: Path) -> None:
    bundle = with_corrective(tiny_bundle())
    assert bundle.corrective is not None
    with torch.no_grad():
        bundle.corrective.head.weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(WeightsError, match=r"tensor corrective\.head\.weight holds values that are not finite"):
        save_bundle(bundle, tmp_path / "model.safetensors")


def test_classes_must_be_those_of_the_networks() -> None:
    bundle = tiny_bundle(class_names=("a", "b"))
    with pytest.raises(UsageError, match="same classes, found 1 and 2"):
        with_corrective(bundle, CorrectiveConfig())


@pytest.mark.parametrize(
    "change", [{"window": 4}, {"window": 1}, {"widths": (8, 8, 8)}, {"heads": (0, 1)}, {"classes": 0}]
)
def test_impossible_settings_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        CorrectiveConfig(**change)  # type: ignore[arg-type]


def test_bundles_must_describe_their_network() -> None:
    bundle = tiny_bundle()
    with pytest.raises(AssertionError):
        Bundle(card=bundle.card, networks=bundle.networks, corrective=awake_network())
