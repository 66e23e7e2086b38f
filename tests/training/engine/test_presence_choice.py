"""The presence of a model is chosen on validation frames that show the trade, and not otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.training.engine.presence_choice import FEWEST_FRAMES, PresenceChoice, choose_presence
from tests.data.drawing import save

SIDE = 32


class Seer(nn.Module):
    """Says of every pixel that its probability is its brightness, from 0 to 1."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.logit(images[:, :1].clamp(1e-4, 1 - 1e-4))


def frames(folder: Path, lesions: list[float], folds: list[float]) -> FrameStore:
    """Return frames with a lesion of each brightness and lesion-free ones with a fold of each brightness."""
    images, masks = [], []
    for number, brightness in enumerate([*lesions, *folds]):
        picture, mask = np.full((SIDE, SIDE, 3), 20, np.uint8), np.zeros((SIDE, SIDE), np.uint8)
        picture[8:16, 8:20] = round(brightness * 255)
        if number < len(lesions):
            mask[8:16, 8:20] = 255
        images.append(save(folder / f"{number}.png", picture))
        masks.append(save(folder / f"{number}-mask.png", mask))
    return FrameStore(images, masks, size=(SIDE, SIDE))


def chosen(store: FrameStore) -> PresenceChoice | None:
    seer = Seer()
    return choose_presence([seer, seer], store, (SIDE, SIDE), lambda images: images.float() / 255)  # type: ignore[list-item]


def test_folds_that_are_never_sure_are_kept_out_and_lesions_in(tmp_path: Path) -> None:
    choice = chosen(frames(tmp_path, [0.97] * 10 + [0.72] * 2, [0.78] * 12))
    assert choice is not None
    assert 0.78 < choice.presence < 0.97
    assert choice.without.kept_empty == 0 and choice.without.lesion_dice == pytest.approx(1)
    assert choice.chosen.kept_empty == 1 and choice.chosen.lesion_dice == pytest.approx(10 / 12, abs=1e-3)
    balances = [scores.lesion_dice + scores.kept_empty for scores in (choice.chosen, choice.without)]
    assert balances[0] > balances[1]


def test_every_region_is_drawn_where_a_presence_gains_nothing(tmp_path: Path) -> None:
    choice = chosen(frames(tmp_path, [0.72] * 12, [0.78] * 12))
    assert choice is not None and choice.presence == 0 and choice.chosen == choice.without


def test_a_gain_within_the_noise_changes_nothing(tmp_path: Path) -> None:
    # half of the folds and one lesion fewer: a gain of a fold in 12 against a lesion in 12
    choice = chosen(frames(tmp_path, [0.72] + [0.98] * 11, [0.71, 0.72] + [0.1] * 10))
    assert choice is not None and choice.presence == 0


@pytest.mark.parametrize(("lesions", "folds"), [(FEWEST_FRAMES, FEWEST_FRAMES - 1), (FEWEST_FRAMES - 1, 20), (0, 20)])
def test_few_frames_of_a_kind_choose_nothing(tmp_path: Path, lesions: int, folds: int) -> None:
    assert chosen(frames(tmp_path, [0.97] * lesions, [0.7] * folds)) is None
