from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.training.engine.learner import Learner
from endoseg_cli.training.engine.teacher_quality import MOST_FRAMES, teacher_quality
from endoseg_cli.training.methods.method import Views
from endoseg_cli.training.strategies.teacher import TeacherMaps
from tests.training.small import CONFIG, SIZE, save_frames


class KnowingLearner(Learner):
    """Network 1 says that bright pixels are lesion, as they are, less one; network 2 says that nothing is."""

    def teach(self, views: Views, step: int) -> tuple[TeacherMaps, TeacherMaps]:
        assert views.unlabeled is not None
        bright = ((views.unlabeled.weak_1 * self.scaled.std + self.scaled.mean).mean(1, keepdim=True) > 200).float()
        return self._says(bright * 0.9 + 0.01), self._says(bright * 0 + 0.02)

    def _says(self, probability: Tensor) -> TeacherMaps:
        return TeacherMaps(passes=probability[None], labeled=probability[:1])


def test_quality_tells_a_teacher_that_knows_from_one_that_does_not(tmp_path: Path) -> None:
    frames = FrameStore(*save_frames(tmp_path, 3), size=SIZE)
    quality = teacher_quality(KnowingLearner(CONFIG, device=torch.device("cpu")), frames, step=0)
    truth = np.mean([_mask(tmp_path, index).mean() for index in range(3)])
    assert quality["pseudo_dice_1"] == pytest.approx(1.0, abs=0.1)
    assert quality["pseudo_wrong_1"] == pytest.approx(0.0, abs=0.01)
    assert quality["pseudo_dice_2"] == 0.0 and quality["pseudo_found_2"] == 0.0
    assert quality["pseudo_wrong_2"] == pytest.approx(truth, abs=0.01)
    assert quality["pseudo_dice_joint"] == 0.0, "the second network is surer of nothing than the first of something"


def test_no_more_frames_than_the_limit_are_looked_at(tmp_path: Path) -> None:
    images, masks = save_frames(tmp_path, 2)
    seen: list[int] = []

    class CountingLearner(KnowingLearner):
        def teach(self, views: Views, step: int) -> tuple[TeacherMaps, TeacherMaps]:
            assert views.unlabeled is not None
            seen.append(len(views.unlabeled.weak_1))
            return super().teach(views, step)

    teacher_quality(
        CountingLearner(CONFIG, device=torch.device("cpu")), FrameStore(images * 40, masks * 40, size=SIZE), step=0
    )
    assert sum(seen) == MOST_FRAMES


def _mask(folder: Path, index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    mask = cv2.imread(str(folder / "masks" / f"{index}.png"), cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    return mask > 127
