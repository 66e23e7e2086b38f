from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.phantom.dataset import clip_frames, clip_scene
from endoseg_cli.phantom.world.config import ClipConfig, PhantomConfig
from endoseg_cli.temporal.scene_cuts import SceneCuts, look_at, scene_difference

Pictures = list[NDArray[np.uint8]]


def rendered(scene: str, seed: int) -> Pictures:
    config, clip = PhantomConfig(scene=scene, size=(64, 64), seed=seed), ClipConfig(seconds=0.4)
    return [frame.picture for frame in clip_frames(clip_scene(config, clip, 0), config.size, clip)]


@pytest.fixture(scope="module")
def clips() -> list[Pictures]:
    return [rendered(scene, seed) for scene in ("colon", "ureter") for seed in (1, 2)]


def cuts(pictures: Pictures) -> list[int]:
    finder = SceneCuts()
    return [index for index, picture in enumerate(pictures) if finder.begins(picture)]


def test_joined_clips_are_cut_where_they_are_joined_and_nowhere_else(clips: list[Pictures]) -> None:
    joined = [picture for clip in clips for picture in clip]
    assert cuts(joined) == [10, 20, 30]


def test_a_shaking_camera_a_wash_out_and_blur_are_no_cuts(clips: list[Pictures]) -> None:
    for clip in clips:
        picture = clip[0]
        shaken = np.roll(picture, (5, -6), (0, 1))
        washed = np.clip(picture * 0.7 + 76, 0, 255).astype(np.uint8)
        blurred = np.asarray(cv2.blur(picture, (7, 1)), dtype=np.uint8)
        for other in (shaken, washed, blurred):
            assert cuts([picture, other]) == []


def test_the_same_picture_differs_by_nothing(clips: list[Pictures]) -> None:
    look = look_at(clips[0][0])
    assert scene_difference(look, look) == pytest.approx(0, abs=1e-5)


def test_a_blank_frame_is_no_scene_and_hides_no_cut(clips: list[Pictures]) -> None:
    black, white = (np.full((64, 64, 3), level, np.uint8) for level in (0, 255))
    assert cuts([*clips[0][:3], black, white, *clips[0][3:6]]) == []
    assert cuts([*clips[0][:3], black, *clips[1][:3]]) == [4]
    assert cuts([black, clips[0][0]]) == cuts([]) == []
