from __future__ import annotations

import numpy as np
import pytest

from endoseg_cli.phantom.dataset import clip_frames, clip_scene
from endoseg_cli.phantom.picture.render import render_mask
from endoseg_cli.phantom.world.config import ClipConfig, PhantomConfig

CLIP = ClipConfig(seconds=4, frames_per_second=8)


@pytest.mark.parametrize("scene", ["colon", "ureter"])
def test_lesions_are_in_view_until_the_camera_has_passed_them(scene: str) -> None:
    config = PhantomConfig(size=(40, 48), scene=scene, empty_fraction=0.5, lesion_fraction=(0.05, 0.15))
    drawn = clip_scene(config, CLIP, 0)
    shown = [bool(render_mask(drawn, config.size, index / 8).any()) for index in range(CLIP.frames)]
    assert all(shown[4:12])
    assert not any(shown[24:])


def test_lesions_are_as_large_as_asked_for_when_the_camera_is_nearest() -> None:
    config = PhantomConfig(size=(48, 48), empty_fraction=0, lesion_fraction=(0.1, 0.2))
    drawn = clip_scene(config, CLIP, 1)
    assert 0.1 <= (render_mask(drawn, config.size, 0.45 * CLIP.seconds) > 0).mean() <= 0.2


def test_the_same_seed_gives_the_same_clip_and_an_empty_one_has_no_lesion() -> None:
    config, clip = PhantomConfig(size=(32, 40), empty_fraction=1), ClipConfig(seconds=0.5, frames_per_second=8)
    first, second = (list(clip_frames(clip_scene(config, clip, 2), config.size, clip)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.picture, other.picture)
        assert not one.mask.any()
    assert not np.array_equal(first[0].picture, first[1].picture)


def test_something_transparent_comes_before_the_lesion() -> None:
    config = PhantomConfig(size=(32, 32), empty_fraction=0.2)
    events = clip_scene(config, CLIP, 0).disturbances
    assert events[0].name in {"wash_out", "bubbles"}
    assert events[0].level(events[0].start + events[0].duration / 2) > 0.4
    assert events[0].level(events[0].start - 0.01) == 0
