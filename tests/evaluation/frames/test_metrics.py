from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.evaluation.frames.metrics import (
    FrameScore,
    image_level,
    mean_std,
    score_counts,
    score_frame,
    summarise,
)


def mask(*rows: str) -> NDArray[np.bool_]:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def test_score_frame_counts_by_hand() -> None:
    truth = mask("##..", "##..", "....")
    prediction = mask(".##.", ".#..", "...#")
    score = score_frame(prediction, truth, name="a.png", group="patient 1")
    assert (score.tp, score.fp, score.fn, score.tn) == (2, 2, 2, 6)
    assert score.dice == pytest.approx(0.5, abs=1e-5)
    assert score.iou == pytest.approx(2 / 6, abs=1e-5)
    assert score.sensitivity == 0.5
    assert score.specificity == 0.75
    assert score.lesion_fraction == 4 / 12
    assert score.present and score.predicted
    assert (score.name, score.group) == ("a.png", "patient 1")


def test_dice_has_the_papers_smoothing() -> None:
    score = score_frame(mask("#."), mask(".#"))
    assert score.dice == pytest.approx(1e-5 / (2 + 1e-5), rel=1e-12)
    assert score.iou == pytest.approx(1e-5 / (2 + 1e-5), rel=1e-12)


def test_two_empty_masks_are_perfect_but_have_no_sensitivity() -> None:
    score = score_frame(mask("..", ".."), mask("..", ".."))
    assert score.dice == 1
    assert score.iou == 1
    assert math.isnan(score.sensitivity)
    assert score.specificity == 1
    assert not score.present and not score.predicted


def test_one_false_pixel_on_an_empty_frame_is_no_longer_perfect() -> None:
    score = score_frame(mask("#.", ".."), mask("..", ".."))
    assert score.dice < 1e-4
    assert score.specificity == 0.75
    assert score.predicted and not score.present


def test_specificity_is_undefined_where_all_is_lesion() -> None:
    score = score_frame(mask("##"), mask("##"))
    assert math.isnan(score.specificity)
    assert score.sensitivity == 1
    assert score.lesion_fraction == 1


def test_frames_of_other_shapes_are_a_bug() -> None:
    with pytest.raises(AssertionError, match="shapes differ"):
        score_frame(mask("##"), mask("#"))


def frames() -> list[FrameScore]:
    return [
        score_counts(tp=10, fp=0, fn=0, tn=90),  # perfect
        score_counts(tp=5, fp=5, fn=5, tn=85),  # Dice 0.5
        score_counts(tp=0, fp=0, fn=20, tn=80),  # missed
        score_counts(tp=0, fp=0, fn=0, tn=100),  # empty, kept empty
        score_counts(tp=0, fp=10, fn=0, tn=90),  # empty, something predicted
        score_counts(tp=100, fp=0, fn=0, tn=0),  # all lesion
    ]


def test_summarise_by_hand() -> None:
    summary = summarise(frames())
    assert (summary.frames, summary.frames_with_lesion, summary.empty_frames) == (6, 4, 2)
    dice = [1, 0.5, 0, 1, 0, 1]
    assert summary.dice.mean == pytest.approx(np.mean(dice), abs=1e-5)
    assert summary.dice.std == pytest.approx(np.std(dice, ddof=1), abs=1e-5)
    assert summary.dice_with_lesion.mean == pytest.approx((1 + 0.5 + 0 + 1) / 4, abs=1e-5)
    assert summary.dice_with_lesion.frames == 4
    assert summary.iou.mean == pytest.approx((1 + 5 / 15 + 0 + 1 + 0 + 1) / 6, abs=1e-5)
    assert summary.sensitivity.mean == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert summary.sensitivity.frames == 4
    empty = summary.empty_frames
    assert summary.sensitivity_of_all.frames == summary.frames and empty > 0
    assert summary.sensitivity_of_all.mean == pytest.approx((1 + 0.5 + 0 + 1 + empty) / (4 + empty))
    assert summary.specificity.mean == pytest.approx((1 + 85 / 90 + 1 + 1 + 0.9) / 5)
    assert summary.specificity.frames == 5
    assert (summary.empty_frames_kept, summary.empty_frames_kept_share) == (1, 0.5)
    assert summary.pooled_dice == pytest.approx(2 * 115 / (2 * 115 + 15 + 25), abs=1e-6)


def test_image_level_by_hand() -> None:
    level = summarise(frames()).image_level
    assert (level.tp, level.fp, level.fn, level.tn) == (3, 1, 1, 1)
    assert level.precision == 0.75
    assert level.recall == 0.75
    assert level.f1 == 0.75
    assert level.accuracy == pytest.approx(4 / 6)


def test_image_level_is_undefined_where_nothing_is_present_or_predicted() -> None:
    level = image_level(tp=0, fp=0, fn=0, tn=3)
    assert all(math.isnan(value) for value in (level.precision, level.recall, level.f1))
    assert level.accuracy == 1


def test_undefined_frames_are_left_out_of_the_mean_and_counted() -> None:
    value = mean_std([0.2, math.nan, 0.4])
    assert value.mean == pytest.approx(0.3)
    assert value.frames == 2
    assert value.std == pytest.approx(math.sqrt(0.02))


def test_no_frame_and_one_frame_raise_no_warning() -> None:
    nothing = summarise([])
    assert nothing.frames == 0
    assert math.isnan(nothing.dice.mean) and math.isnan(nothing.pooled_dice)
    single = summarise(frames()[:1])
    assert single.dice.mean == 1
    assert math.isnan(single.dice.std)
    assert math.isnan(single.empty_frames_kept_share)
