"""Frames without a lesion: their share of a batch, the per-frame Dice that leaves them out, averaged networks."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from endoseg_cli.data.views.augment_config import AugmentConfig
from endoseg_cli.data.views.datasets import LabeledBatches
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.errors import UsageError
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.shared.precision import resolve_precision
from endoseg_cli.training.strategies.objective import frame_dice_loss, presence_loss, soft_dice_loss
from tests.data.drawing import draw_frame, save
from tests.training.small import CONFIG, SIZE, make_data, make_trainer, save_frames


def mixed(folder: Path, *, lesions: int, negatives: int) -> FrameStore:
    images, masks = save_frames(folder / "l", lesions)
    free = [save(folder / f"free-{index}.png", draw_frame(40 + index)) for index in range(negatives)]
    return FrameStore([*images, *free], [*masks, *(None for _ in free)], size=SIZE)


def test_a_negative_frame_has_an_empty_mask(tmp_path: Path) -> None:
    store = mixed(tmp_path, lesions=2, negatives=3)
    image, mask = store.read(4)
    assert mask is not None and mask.shape == image.shape[:2] and not mask.any()
    assert store.empty() == [2, 3, 4]


def test_every_batch_has_its_share_of_empty_frames(tmp_path: Path) -> None:
    store = mixed(tmp_path, lesions=2, negatives=7)
    batches = LabeledBatches(store, size=SIZE, batch_size=10, seed=0, augment=AugmentConfig(), empty_share=0.3)
    for step in range(4):
        keys = batches.keys(step)
        assert len(keys) == 10 and sum(index >= 2 for _, index in keys) == 3
        # spread, so that each of several processes gets some
        assert 1 <= sum(index >= 2 for _, index in keys[:5]) <= 2
    assert {index for step in range(5) for _, index in batches.keys(step)} == set(range(9))
    assert batches.keys(0) != batches.keys(1)


def test_masks_are_cropped_as_their_frames_are(tmp_path: Path) -> None:
    frame, mask = np.full((64, 96, 3), 4, np.uint8), np.zeros((64, 96), np.uint8)
    frame[8:56, 20:76], mask[8:56, 48:76] = 150, 255
    paths = save(tmp_path / "a.png", frame), save(tmp_path / "b.png", mask)
    image, cropped = FrameStore([paths[0]], [paths[1]], size=(128, 128), crop=True).read(0)
    assert cropped is not None
    assert image.shape[:2] == cropped.shape == (48, 56)
    assert image.min() > 100 and cropped.mean() == pytest.approx(0.5)


def test_per_frame_dice_ignores_empty_frames_and_weighs_lesions_alike() -> None:
    logits = torch.full((3, 1, 16, 16), -4.0, requires_grad=True)
    masks = torch.zeros(3, 1, 16, 16)
    masks[0, 0, :8], masks[1, 0, :2, :2] = 1, 1
    (gradient,) = torch.autograd.grad(frame_dice_loss(logits, masks), logits)
    assert gradient[2].abs().max() == 0
    assert gradient[1][masks[1] > 0].sum() / gradient[0][masks[0] > 0].sum() > 0.2
    (gradient,) = torch.autograd.grad(soft_dice_loss(logits, masks), logits)
    assert gradient[2].abs().max() > 0
    assert gradient[1][masks[1] > 0].sum() / gradient[0][masks[0] > 0].sum() < 0.1


def test_per_frame_dice_of_a_batch_without_lesion_is_zero() -> None:
    logits = torch.zeros(2, 1, 8, 8, requires_grad=True)
    loss = frame_dice_loss(logits, torch.zeros(2, 1, 8, 8))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0 and gradient.abs().max() == 0


def test_the_presence_loss_sees_a_speck_that_the_mean_over_pixels_does_not() -> None:
    logits = torch.full((2, 1, 64, 64), -6.0)
    logits[0, 0, :2, :2] = 4.0
    logits.requires_grad_()
    loss = presence_loss(logits, torch.zeros(2, 1, 64, 64))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx((math.log1p(math.exp(4)) + math.log1p(math.exp(-6))) / 2, abs=1e-4)
    assert gradient[0, 0, :2, :2].min() > 0 and gradient[0, 0, 2:].abs().max() == 0
    masks = torch.zeros(2, 1, 64, 64)
    masks[0, 0, 40:, 40:] = 1
    assert presence_loss(logits, masks).item() < 0.02  # sure of a lesion somewhere, as the mask says


def test_averaged_networks_lag_behind_are_kept_and_survive_a_resume(tmp_path: Path) -> None:
    data = make_data(tmp_path, unlabeled=0)
    config = replace(CONFIG, ema=0.9, max_steps=6, validate_every=6, settle_frames=0, select="last")
    whole = make_trainer(data, tmp_path / "whole", config)
    first = make_trainer(data, tmp_path / "parts", config)
    whole.fit()
    for step in range(3):
        first.train_step(first.feed.batches[step])
    first.save()
    second = make_trainer(data, tmp_path / "parts", config)
    second.resume()
    second.fit()
    learner = whole.learner
    for average, network, again in zip(learner.averages, learner.networks, second.learner.averages, strict=True):
        trained, mean, resumed = (next(iter(one.parameters())) for one in (network, average, again))
        assert not torch.equal(trained, mean)
        assert torch.equal(mean, resumed)
    kept, _ = whole.selected_networks()
    assert torch.equal(next(iter(kept[0].parameters())), next(iter(learner.averages[0].parameters())))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ema": 1.0}, "--ema"),
        ({"empty_share": 1.0}, "--empty-share"),
        ({"dice_over": "frames"}, "--dice-over"),
        ({"presence": 1.0}, "--presence"),
        ({"presence_weight": -1.0}, "--presence-weight"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        TrainConfig(**settings)  # type: ignore[arg-type]


def test_auto_precision_is_one_that_the_machine_has() -> None:
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu) in ("fp32", "bf16")
    assert resolve_precision("fp16", cpu) == "fp16"
    assert resolve_precision("auto", torch.device("mps")) == "fp32"
