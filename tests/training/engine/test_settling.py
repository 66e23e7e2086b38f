from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.training.engine.checkpoint import load_checkpoint
from endoseg_cli.training.engine.settling import BATCH, hold_statistics, plain_batches, settle_teacher, settled
from endoseg_cli.training.settings.config import Selection
from tests.data.drawing import save
from tests.training.small import CONFIG, SIZE, make_data, make_network, make_trainer


def stem_input_statistics(network: UNet, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance per channel of what the first BatchNorm of an encoder meets."""
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    with torch.no_grad():
        found = first(images)
    return found.mean((0, 2, 3)), found.var((0, 2, 3))


def first_norm(network: UNet) -> nn.BatchNorm2d:
    return next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))


def grey_store(folder: Path, shades: list[int]) -> FrameStore:
    """Return a store of frames of one shade each."""
    paths = [save(folder / f"{shade:03d}.png", np.full((*SIZE, 3), shade, np.uint8)) for shade in shades]
    return FrameStore(paths, None, size=SIZE)


def test_statistics_become_the_mean_over_the_batches_and_the_network_stays() -> None:
    network = make_network(0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batches = [torch.randn(3, 3, *SIZE), 2 + 3 * torch.randn(3, 3, *SIZE)]
    copy = settled(network, batches)
    means, variances = zip(*(stem_input_statistics(network, images) for images in batches), strict=True)
    norm = first_norm(copy)
    assert norm.running_mean is not None and norm.running_var is not None
    assert torch.allclose(norm.running_mean, torch.stack(means).mean(0), atol=1e-5)
    assert torch.allclose(norm.running_var, torch.stack(variances).mean(0), rtol=1e-4)
    assert not copy.training and norm.momentum == first_norm(network).momentum
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    weights = dict(network.named_parameters())
    assert all(torch.equal(value, weights[name]) for name, value in copy.named_parameters())


def test_dropout_is_off_while_statistics_settle() -> None:
    network, batches = make_network(1), [torch.randn(4, 3, *SIZE)]
    states = [settled(network.train(), batches).state_dict() for _ in range(2)]
    assert all(torch.equal(first, second) for first, second in zip(*(s.values() for s in states), strict=True))


def test_frames_are_spread_evenly_over_all_stores(tmp_path: Path) -> None:
    stores = [grey_store(tmp_path / "a", [0, 10]), grey_store(tmp_path / "b", list(range(20, 120, 10)))]
    found = torch.cat(list(plain_batches(stores, 6, SIZE, lambda images: images.float())))
    assert found[:, 0, 0, 0].tolist() == [0, 20, 40, 60, 80, 100]
    everything = torch.cat(list(plain_batches(stores, 99, SIZE, lambda images: images.float())))
    assert everything[:, 0, 0, 0].tolist() == list(range(0, 120, 10))


@pytest.mark.parametrize(("frames", "sizes"), [(1, [2]), (BATCH, [BATCH]), (BATCH + 2, [17, 17])])
def test_batches_are_even_and_never_of_one_frame(tmp_path: Path, frames: int, sizes: list[int]) -> None:
    store = grey_store(tmp_path, list(range(frames)))
    assert [len(images) for images in plain_batches([store], 256, SIZE, lambda images: images)] == sizes


@pytest.mark.parametrize("select", ["best", "last"])
def test_the_model_gets_the_networks_that_were_validated(tmp_path: Path, select: Selection) -> None:
    trainer = make_trainer(make_data(tmp_path / "data"), tmp_path / "run", replace(CONFIG, max_steps=2, select=select))
    trainer.fit()
    networks, dice = trainer.selected_networks()
    for network, scored, running, score in zip(networks, trainer.scored, trainer.learner.networks, dice, strict=True):
        pairs = zip(network.state_dict().values(), scored.state_dict().values(), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)
        assert not torch.equal(first_norm(network).running_mean, first_norm(running).running_mean)  # type: ignore[arg-type]
        assert score >= 0
    resumed = load_checkpoint(tmp_path / "run" / "last.pt")["networks"][0]["network"]
    going_on = trainer.learner.networks[0].state_dict()
    assert all(torch.equal(resumed[name], going_on[name]) for name in going_on)


def test_a_supervised_run_settles_over_labelled_frames_alone(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    supervised = replace(CONFIG, max_steps=1, unsupervised_weight=0.0)
    trainer = make_trainer(data, tmp_path / "run", supervised)
    trainer.fit()
    alone = plain_batches([data.labeled], 256, SIZE, trainer.learner.normalise)
    expected = settled(trainer.learner.networks[0], alone).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in trainer.scored[0].state_dict().items())


def test_none_keeps_the_running_averages(tmp_path: Path) -> None:
    config = replace(CONFIG, max_steps=1, settle_frames=0)
    trainer = make_trainer(make_data(tmp_path / "data"), tmp_path / "run", config)
    trainer.fit()
    assert trainer.scored is trainer.learner.networks


def norm_buffers(network: UNet) -> list[Tensor]:
    """Return copies of the running means and variances of what a network predicts with."""
    parts = [network.encoder, network.decoder]
    norms = [module for part in parts for module in part.modules() if isinstance(module, nn.BatchNorm2d)]
    return [buffer.clone() for norm in norms for buffer in (norm.running_mean, norm.running_var) if buffer is not None]


def are_equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(first, second, strict=True))


def test_a_teacher_gets_settled_statistics_and_keeps_its_weights_and_what_optimises_them() -> None:
    network, batches = make_network(0), [torch.randn(3, 3, *SIZE)]
    weights = dict(network.named_parameters())
    values = {name: value.clone() for name, value in weights.items()}
    expected = norm_buffers(settled(network, batches))
    settle_teacher(network, batches)
    assert are_equal(norm_buffers(network), expected)
    assert all(
        value is weights[name] and torch.equal(value, values[name]) for name, value in network.named_parameters()
    )


def test_held_statistics_stay_while_the_network_trains_on_its_batches_statistics() -> None:
    network, images = make_network(0).train(), 5 + torch.randn(4, 3, *SIZE)
    before = norm_buffers(network)
    hold_statistics(network)
    held = network(images)
    assert are_equal(norm_buffers(network), before)
    network.eval()
    assert not torch.allclose(held, network(images), atol=1e-3)


def test_teachers_statistics_are_taken_anew_when_they_begin_and_every_so_many_steps(tmp_path: Path) -> None:
    config = replace(CONFIG, warm_up_steps=1, settle_every=3, settle_frames=6)
    trainer = make_trainer(make_data(tmp_path / "data"), tmp_path / "run", config)
    network, learner = trainer.learner.networks[0], trainer.learner
    assert trainer.data.unlabeled is not None
    stores, found = [trainer.data.labeled, trainer.data.unlabeled], []
    for step in range(5):
        fresh = norm_buffers(settled(network, plain_batches(stores, 6, SIZE, learner.normalise)))
        before = norm_buffers(network)
        trainer.train_step(trainer.feed.batches[step])
        after = norm_buffers(network)
        found.append("fresh" if are_equal(after, fresh) else "held" if are_equal(after, before) else "running")
    assert found == ["running", "fresh", "held", "fresh", "held"]


@pytest.mark.parametrize("off", ["settle_every", "settle_frames"])
def test_without_it_teachers_predict_with_running_averages(tmp_path: Path, off: str) -> None:
    config = replace(CONFIG, warm_up_steps=0, **{off: 0})  # type: ignore[arg-type]
    trainer = make_trainer(make_data(tmp_path / "data"), tmp_path / "run", config)
    before = norm_buffers(trainer.learner.networks[0])
    trainer.train_step(trainer.feed.batches[0])
    moved = [second - first for first, second in zip(before, norm_buffers(trainer.learner.networks[0]), strict=True)]
    assert all(change.abs().max() > 0 for change in moved)
