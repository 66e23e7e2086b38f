from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from endoseg_cli.evaluation.video.metrics import (
    VideoFrameScore,
    aligned_iou,
    count_flicker,
    count_short_runs,
    isolated_failures,
    summarise_video,
)
from endoseg_cli.evaluation.video.optical_flow import flow_between, warp_mask

FP, FN = "false_positive", "false_negative"


def scores(
    pixels: Sequence[int],
    truth: Sequence[int | None],
    *,
    overlap: Sequence[int] | None = None,
    dice: Sequence[float] | None = None,
    scenes: Sequence[int] | None = None,
    spoiled: Sequence[int] = (),
    method: str = "as predicted",
) -> list[VideoFrameScore]:
    return [
        VideoFrameScore(
            clip="a",
            method=method,
            frame=index,
            time=index / 25,
            scene=scenes[index] if scenes else 0,
            spoiled=index in spoiled,
            truth_pixels=truth[index],
            pixels=pixels[index],
            overlap=overlap[index] if overlap else 0,
            dice=dice[index] if dice else math.nan,
            steadiness=math.nan if index == 0 else 0.5,
            truth_steadiness=math.nan,
        )
        for index in range(len(pixels))
    ]


def test_flicker_is_what_the_truth_does_not_do() -> None:
    assert count_flicker([True, False, True], [True, True, True]) == 2
    assert count_flicker([True, False, False], [True, False, False]) == 0
    assert count_flicker([True, True, False], [True, False, False]) == 1
    assert count_flicker([], []) == 0


def test_short_runs_lie_between_others() -> None:
    assert count_short_runs([True] * 3 + [False] * 2 + [True] * 9) == 1
    assert count_short_runs([True] * 3 + [False] * 5 + [True] * 9) == 0
    assert count_short_runs([True, False]) == count_short_runs([]) == 0


def test_a_flagged_frame_fails_only_if_the_truth_says_so_and_never_across_scenes() -> None:
    pixels = [5, 0, 5, 5, 0, 5, 0, 0, 3, 0]
    truth = [9, 9, 9, 9, 0, 9, 0, 0, 0, 0]
    assert isolated_failures(scores(pixels, truth)) == [None, FN, *[None] * 6, FP, None]
    cut = isolated_failures(scores(pixels, truth, scenes=[0, 0, *[1] * 8]))
    assert cut == [*[None] * 8, FP, None]
    assert isolated_failures(scores(pixels, [None] * 10)) == [None] * 10


def test_a_repair_is_a_mask_on_the_lesion_or_none_where_there_is_none() -> None:
    truth = [9, 9, 9, 9, 9, 0, 0, 0]
    before = scores([9, 0, 9, 0, 9, 0, 4, 0], truth, dice=[1, 0, 1, 0, 1, 1, 0, 1], spoiled=[0])
    after = scores(
        [9, 8, 9, 7, 9, 0, 0, 0], truth, overlap=[9, 8, 9, 0, 9, 0, 0, 0], dice=[0.9, 0.8, 1, 0, 1, 1, 1, 1], method="m"
    )
    found = summarise_video(before, after)
    assert (found.isolated_false_negatives, found.repaired_false_negatives) == (2, 1), "one lies beside the lesion"
    assert (found.isolated_false_positives, found.repaired_false_positives) == (1, 1)
    assert (found.false_negative_frames, found.false_positive_frames) == (0, 0)
    assert found.dice_isolated == pytest.approx(1.8 / 3) and found.dice_untouched == pytest.approx(1)
    assert (found.better_frames, found.worse_frames, found.flicker, found.frames) == (2, 1, 0, 8)
    assert found.steadiness == 0.5 and math.isnan(found.truth_steadiness) and found.method == "m"
    alone = summarise_video(before, before)
    assert (alone.false_negative_frames, alone.false_positive_frames, alone.flicker) == (2, 1, 6)
    assert alone.repaired_false_negatives == alone.repaired_false_positives == alone.worse_frames == 0


def test_without_truth_only_steadiness_and_short_runs_are_known() -> None:
    plain = scores([5, 0, 5, 5, 5], [None] * 5)
    found = summarise_video(plain, plain)
    assert found.flicker is found.false_negative_frames is found.repaired_false_positives is found.worse_frames is None
    assert math.isnan(found.dice) and found.short_runs == 1 and found.steadiness == 0.5


def test_a_mask_that_moves_with_the_picture_is_steady() -> None:
    noise = np.kron(np.random.default_rng(0).integers(0, 256, (20, 20)), np.ones((4, 4))).astype(np.uint8)
    moved = np.roll(noise, (2, 3), (0, 1))
    before = np.zeros((80, 80), np.bool_)
    before[30:50, 30:50] = True
    here = np.roll(before, (2, 3), (0, 1))
    flow = flow_between(moved, noise)
    assert aligned_iou(before, here, flow) > 0.9 > 0.75 > aligned_iou(before, before, flow)
    assert aligned_iou(before, np.zeros_like(before), flow) == 0
    assert math.isnan(aligned_iou(np.zeros_like(before), np.zeros_like(before), flow))
    still = np.zeros((80, 80, 2), np.float32)
    assert np.array_equal(warp_mask(before, still), before)
