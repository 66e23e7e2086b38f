from __future__ import annotations

import numpy as np
import pytest

from endoseg_cli.data.clips.camera_motion import move_camera
from endoseg_cli.data.clips.coming_and_going import away_and_back, draw_shifts, jolt, pass_in_front


@pytest.mark.parametrize("seed", range(5))
def test_a_camera_that_turns_away_comes_back(seed: int) -> None:
    far = np.linalg.norm(away_and_back(25, np.random.default_rng(seed)), axis=1)
    assert far.max() >= 0.35 and max(far[0], far[-1]) < far.max() / 3
    assert (np.diff(np.sign(np.diff(far))) != 0).sum() == 1, "out once and back once"


@pytest.mark.parametrize("seed", range(5))
def test_a_jolt_is_one_step_beyond_a_tenth_of_the_side(seed: int) -> None:
    steps = np.linalg.norm(np.diff(jolt(9, np.random.default_rng(seed)), axis=0), axis=1)
    assert np.count_nonzero(steps) == 1 and 0.1 <= steps.max() <= 0.3 + 1e-9


def test_most_clips_have_neither() -> None:
    rng = np.random.default_rng(0)
    still = np.mean([not draw_shifts(9, rng).any() for _ in range(300)])
    assert 0.4 < still < 0.7


def test_shifts_move_picture_and_mask_together_by_parts_of_the_side() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[45:55, 45:55] = 200
    mask = image[..., 0] > 0
    shifts = np.array([[0.0, 0.0], [0.2, 0.0]])
    calm, moved = (
        move_camera(image, mask, frames=2, size=(64, 64), speed=0, rng=np.random.default_rng(1), shifts=given)
        for given in (None, shifts)
    )
    assert np.array_equal(calm.masks[0], moved.masks[0])
    columns = [np.nonzero(clip.masks[1])[1].mean() for clip in (calm, moved)]
    assert columns[0] - columns[1] == pytest.approx(0.2 * 64, abs=1), "the camera goes right, the lesion left"
    inside = moved.frames[1][moved.masks[1]].mean()
    assert inside > moved.frames[1][~moved.masks[1]].mean() + 50


def test_what_passes_in_front_takes_the_lesion_with_it_and_lets_it_return() -> None:
    pictures = np.full((9, 60, 80, 3), (150, 80, 70), np.uint8)
    pictures[:, ::7] -= 30
    masks = np.ones((9, 60, 80), np.bool_)
    shares = []
    for seed in range(12):
        shown, left = pass_in_front(pictures, masks, np.random.default_rng(seed))
        covered = ~left
        assert covered.any() and not (left & ~masks).any()
        untouched = (shown == pictures).all((1, 2, 3))
        assert not covered[untouched].any()
        areas = covered.mean((1, 2))
        shares.append(areas.max())
        rising = np.sign(np.diff(areas[areas > 0]))
        assert not ((rising[:-1] < 0) & (rising[1:] > 0)).any(), "it comes once and leaves once"
    assert max(shares) > 0.3, "a fold covers much"
