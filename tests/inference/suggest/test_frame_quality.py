from __future__ import annotations

import cv2
import numpy as np

from endoseg_cli.inference.predict.predictor import Pixels
from endoseg_cli.inference.suggest.frame_quality import are_usable, measure_quality
from tests.data.drawing import draw_frame

SIZE = (96, 128)


def textured(seed: int) -> Pixels:
    """A picture with fine detail."""
    noise = np.random.default_rng(seed).normal(0, 12, (*SIZE, 1))
    return np.asarray(np.clip(draw_frame(seed, SIZE) + noise, 30, 240), dtype=np.uint8)


def blurred(frame: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), 6), dtype=np.uint8)


def round_picture(frame: Pixels) -> Pixels:
    """The picture as an endoscope gives it: a disc on black."""
    disc = cv2.circle(np.zeros(SIZE, np.uint8), (SIZE[1] // 2, SIZE[0] // 2), 40, 1, -1)
    return np.asarray(frame * disc[..., None], dtype=np.uint8)


def usable(*frames: Pixels) -> list[bool]:
    return are_usable([measure_quality(frame) for frame in frames])


def test_black_and_white_and_blurred_frames_are_left_out() -> None:
    good = [textured(seed) for seed in range(4)]
    black, white = np.full((*SIZE, 3), 8, np.uint8), np.full((*SIZE, 3), 254, np.uint8)
    assert usable(*good, black, white, blurred(good[0])) == [True] * 4 + [False] * 3


def test_reflections_and_the_round_picture_s_rim_are_no_fault() -> None:
    shining = textured(0)
    cv2.circle(shining, (40, 40), 12, (255, 255, 255), -1)
    frames = [round_picture(textured(seed)) for seed in range(4)]
    assert usable(shining, *frames) == [True] * 5
    assert usable(*frames, round_picture(blurred(textured(0)))) == [True] * 4 + [False], "its rim is sharp still"


def test_an_endoscope_that_is_soft_throughout_is_judged_by_itself() -> None:
    assert usable(*(blurred(textured(seed)) for seed in range(4))) == [True] * 4
    assert are_usable([]) == []
