from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.data.views import wide_view as module
from endoseg_cli.data.views.augment import random_generator, weak_view
from endoseg_cli.data.views.augment_config import AugmentConfig, WeakViewConfig
from endoseg_cli.data.views.datasets import LabeledBatches
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.data.views.wide_view import wide_view
from endoseg_cli.errors import UsageError
from tests.data.drawing import draw_frame, draw_mask, save

SIZE = (64, 64)


def bright_lesion() -> tuple[
    np.ndarray[tuple[int, ...], np.dtype[np.uint8]], np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
]:
    mask = np.zeros((64, 64), np.bool_)
    mask[24:40, 24:40] = True
    return np.where(mask[..., None], 230, 60).astype(np.uint8).repeat(3, axis=2), mask


def test_the_mask_follows_the_lesion() -> None:
    frame, mask = bright_lesion()
    for index in range(60):
        view, moved = wide_view(frame, mask, SIZE, random_generator(0, 0, index, "wide"))
        assert view.shape == (64, 64, 3) and view.dtype == np.uint8 and moved.dtype == np.bool_
        brightness = view.mean(axis=2)
        if moved.sum() > 60:
            assert brightness[moved].mean() > brightness[~moved].mean() + 20


def test_panels_cover_no_lesion_and_come_in_both_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PANEL_PROBABILITY", 1.0)
    monkeypatch.setattr(module, "DAMAGE_PROBABILITY", 0.0)
    frame, mask = bright_lesion()
    views = [wide_view(frame, mask, SIZE, random_generator(0, 0, index, "wide")) for index in range(40)]
    greens = [int(((view[..., 1].astype(int) - view[..., 0]) > 25).sum()) for view, _ in views]
    assert any(count > 50 for count in greens) and any(count == 0 for count in greens)
    assert all(not (moved & (view.max(axis=2) == 0)).any() for view, moved in views)


def test_quality_is_lost_in_some_views(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = draw_frame(3)
    sharp = [wide_view(frame, np.zeros(frame.shape[:2], np.bool_), SIZE, random_generator(0, 0, 1, "w"))[0]]
    monkeypatch.setattr(module, "DAMAGE_PROBABILITY", 1.0)
    monkeypatch.setattr(module, "PANEL_PROBABILITY", 0.0)
    for index in range(8):
        sharp.append(wide_view(frame, np.zeros(frame.shape[:2], np.bool_), SIZE, random_generator(0, 0, index, "w"))[0])
    assert len({view.tobytes() for view in sharp}) == len(sharp)


def test_shear_slants_and_is_off_by_default() -> None:
    frame, mask = bright_lesion()
    still = {"rotate_90": False, "horizontal_flip": 0.0, "vertical_flip": 0.0, "affine": 1.0, "scale": (1.0, 1.0)}
    for shear, slanted in ((0.0, False), (30.0, True)):
        config = WeakViewConfig(**still, shift=0, rotation=0, shear=shear)  # type: ignore[arg-type]
        _, moved = weak_view(frame, mask, SIZE, random_generator(0, 0, 2, "s"), config)
        assert moved is not None
        assert (not np.array_equal(moved, mask)) is slanted


def test_batches_take_wide_views_when_asked(tmp_path: Path) -> None:
    store = FrameStore([save(tmp_path / "a.png", draw_frame(1))], [save(tmp_path / "b.png", draw_mask())], size=SIZE)
    paper, wide = (
        LabeledBatches(store, size=SIZE, batch_size=2, seed=0, augment=AugmentConfig(labeled_views=views))[0]
        for views in ("paper", "wide")
    )
    assert not np.array_equal(paper.images.numpy(), wide.images.numpy())


def test_other_views_are_refused() -> None:
    with pytest.raises(UsageError, match="labeled_views must be paper or wide, found broad"):
        AugmentConfig(labeled_views="broad")  # type: ignore[arg-type]
