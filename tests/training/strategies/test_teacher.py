"""The fast schedule of the teachers against the naive one: every pass a whole forward pass of its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from endoseg_cli.data.views.cutmix import CutMixBox, box_mask
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.training.strategies.dropout import DropoutDraw, split_factors
from endoseg_cli.training.strategies.teacher import TeacherMaps, TeacherViews, teach
from tests.training.small import NETWORK, make_network

PASSES = 3


def draw_views(boxed: list[int], size: tuple[int, int] = (24, 40), frames: int = 3) -> TeacherViews:
    torch.manual_seed(1)
    boxes = [
        box_mask(CutMixBox(top=4, left=8, height=12, width=11) if n in boxed else None, size) for n in range(frames)
    ]
    pictures = torch.randn(2 * frames + 2, 3, *size, dtype=torch.float64)
    return TeacherViews(
        weak_1=pictures[:frames],
        weak_2=pictures[frames : 2 * frames],
        boxes=torch.stack(boxes),
        boxed=torch.tensor(boxed, dtype=torch.int64),
        labeled=pictures[2 * frames :],
    )


def naive_teach(network: UNet, views: TeacherViews, dropout_1: Tensor, dropout_2: Tensor) -> TeacherMaps:
    network.eval()
    height, width = views.weak_1.shape[-2:]

    def one_pass(pictures: Tensor, factors: Tensor) -> Tensor:
        logits = network.decode(network.encode(pictures), split_factors(factors, network.config))
        return torch.sigmoid(logits[..., :height, :width])

    with torch.no_grad():
        first = torch.stack([one_pass(views.weak_1, factors) for factors in dropout_1])
        second = torch.stack([one_pass(views.weak_2, factors) for factors in dropout_2])
        labeled = torch.sigmoid(network(views.labeled))
    inside = views.boxes.double()
    return TeacherMaps(passes=inside * second + (1 - inside) * first, labeled=labeled)


def draw_dropout(frames: int = 3) -> tuple[Tensor, Tensor]:
    draw = DropoutDraw(config=NETWORK, seed=3, step=7, network=0)
    return draw.factors("weak-1", frames, PASSES).double(), draw.factors("weak-2", frames, PASSES).double()


@pytest.mark.parametrize("boxed", [[], [0, 2]])
def test_the_fast_schedule_equals_the_naive_one(boxed: list[int]) -> None:
    network, views, dropout = make_network(0, double=True), draw_views(boxed), draw_dropout()
    fast, naive = teach(network, views, *dropout), naive_teach(network, views, *dropout)
    torch.testing.assert_close(fast.passes, naive.passes, rtol=0, atol=1e-9)
    torch.testing.assert_close(fast.labeled, naive.labeled, rtol=0, atol=1e-9)


def test_the_passes_differ_from_each_other() -> None:
    maps = teach(make_network(0, double=True), draw_views([1]), *draw_dropout())
    assert (maps.passes[0] - maps.passes[1]).abs().max() > 1e-4


def test_a_teacher_changes_nothing_and_carries_no_gradient() -> None:
    network = make_network(0, double=True)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    maps = teach(network, draw_views([1]), *draw_dropout())
    assert not maps.passes.requires_grad and not maps.labeled.requires_grad
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_shares_of_the_dropout_make_up_the_whole_batch() -> None:
    whole = DropoutDraw(config=NETWORK, seed=0, step=1, network=1).factors("weak-1", 4, 2)
    parts = [
        DropoutDraw(config=NETWORK, seed=0, step=1, network=1, share=(rank, 2)).factors("weak-1", 2, 2)
        for rank in range(2)
    ]
    assert torch.equal(whole, torch.cat(parts, dim=1))
    assert sorted(set(whole.flatten().tolist())) == pytest.approx([0.0, 1 / 0.9])


@pytest.mark.parametrize(("seed", "step", "network"), [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_dropout_differs_between_seeds_steps_and_networks(seed: int, step: int, network: int) -> None:
    first = DropoutDraw(config=NETWORK, seed=0, step=0, network=0).factors("weak", 8)
    second = DropoutDraw(config=NETWORK, seed=seed, step=step, network=network).factors("weak", 8)
    assert not torch.equal(first, second)
