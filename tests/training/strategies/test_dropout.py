from __future__ import annotations

import pytest
import torch

from endoseg_cli.networks.architecture.unet import UNetConfig
from endoseg_cli.training.strategies.dropout import DropoutDraw, split_factors

CONFIG = UNetConfig(encoder="mobilenet_v2", decoder_channels=(64, 32, 16, 8, 4), dropout=0.25)


def draw(seed: int = 0, step: int = 0, network: int = 0, share: tuple[int, int] = (0, 1)) -> DropoutDraw:
    return DropoutDraw(config=CONFIG, seed=seed, step=step, network=network, share=share)


def test_masks_drop_whole_channels_and_keep_the_mean() -> None:
    masks = split_factors(draw().factors("weak", 400)[0], CONFIG)
    assert [tuple(mask.shape) for mask in masks] == [(400, w, 1, 1) for w in (64, 64, 32, 32, 16, 16, 8, 8, 4, 4)]
    assert all(set(mask.flatten().tolist()) == {0.0, masks[0].max().item()} for mask in masks)
    assert masks[0].max().item() == pytest.approx(1 / 0.75)
    assert masks[0].mean().item() == pytest.approx(1, abs=0.02)


def test_the_key_alone_decides_the_draw() -> None:
    first = draw().factors("weak", 4, passes=3)
    assert torch.equal(first, draw().factors("weak", 4, passes=3))
    others = [draw(seed=1), draw(step=1), draw(network=1)]
    assert not any(torch.equal(first, other.factors("weak", 4, passes=3)) for other in others)
    assert not torch.equal(first, draw().factors("strong", 4, passes=3))
    assert not torch.equal(first[0], first[1])


def test_shares_make_up_the_whole_batch() -> None:
    parts = [draw(share=(rank, 2)).factors("weak", 3, passes=2) for rank in (0, 1)]
    assert torch.equal(torch.cat(parts, dim=1), draw().factors("weak", 6, passes=2))
