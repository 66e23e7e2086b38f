from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.evaluation.frames.metrics import score_frame, summarise
from endoseg_cli.evaluation.frames.sweep import THRESHOLDS, Sweep, SweepAccumulator, frame_histogram, probability_bins

Frame = tuple[NDArray[np.float32], NDArray[np.bool_]]


def make_frames() -> list[Frame]:
    rng = np.random.default_rng(0)
    frames: list[Frame] = []
    for size, lesion in (((13, 17), 0.3), ((20, 8), 0.0), ((9, 9), 1.1), ((16, 16), 0.05)):
        truth = rng.random(size) < lesion
        probability = np.clip(rng.random(size) * 0.8 + 0.2 * truth, 0, 1).astype(np.float32)
        probability[0, :4] = (0, 0.5, 1, 130 / 256)  # values on the borders of bins
        frames.append((probability, truth))
    frames.append((np.full((5, 5), 0.01, np.float32), np.zeros((5, 5), bool)))
    return frames


def sweep_of(frames: list[Frame]) -> Sweep:
    accumulator = SweepAccumulator()
    for probability, truth in frames:
        accumulator.add(frame_histogram(probability, truth))
    return accumulator.result()


def test_bin_of_a_probability_says_which_thresholds_it_exceeds() -> None:
    rng = np.random.default_rng(1)
    probability = np.concatenate([rng.random(5000), THRESHOLDS, [0, 1, 1e-40]]).astype(np.float32)
    bins = probability_bins(probability)
    for k, threshold in enumerate(THRESHOLDS, start=1):
        assert np.array_equal(bins >= k, probability > threshold)


def test_sweep_equals_thresholding_one_by_one() -> None:
    frames = make_frames()
    sweep = sweep_of(frames)
    assert sweep.thresholds[127] == 0.5
    for index in range(0, 255, 6):
        scores = [score_frame(p > sweep.thresholds[index], truth) for p, truth in frames]
        expected = summarise(scores)
        assert sweep.dice[index] == pytest.approx(expected.dice.mean, abs=1e-12)
        assert sweep.dice_with_lesion[index] == pytest.approx(expected.dice_with_lesion.mean, abs=1e-12)
        assert sweep.sensitivity[index] == pytest.approx(expected.sensitivity.mean, abs=1e-12)
        assert sweep.specificity[index] == pytest.approx(expected.specificity.mean, abs=1e-12)
        assert sweep.precision[index] == pytest.approx(expected.image_level.precision, nan_ok=True)
        assert sweep.recall[index] == pytest.approx(expected.image_level.recall)
        assert sweep.f1[index] == pytest.approx(expected.image_level.f1)


def test_best_threshold_has_the_highest_dice_and_lies_nearest_to_one_half_among_equals() -> None:
    truth = np.zeros((10, 10), bool)
    truth[:3] = True
    certain = sweep_of([(np.where(truth, 0.9, 0.1).astype(np.float32), truth)])
    assert certain.thresholds[certain.best] == 0.5
    timid = sweep_of([(np.where(truth, 0.3, 0.1).astype(np.float32), truth)])
    assert timid.dice[timid.best] == pytest.approx(1)
    assert 0.1 < timid.thresholds[timid.best] < 0.3


def test_best_threshold_over_lesions_is_not_drawn_to_predicting_nothing() -> None:
    truth = np.zeros((10, 10), bool)
    truth[:2] = True
    hard = (np.where(truth, 0.3, 0.2).astype(np.float32), truth)
    false_alarm = (np.full((10, 10), 0.4, np.float32), np.zeros((10, 10), bool))
    sweep = sweep_of([hard, false_alarm, false_alarm])
    assert sweep.thresholds[sweep.best] >= 0.4
    assert sweep.best_with_lesion is not None
    assert 0.2 < sweep.thresholds[sweep.best_with_lesion] < 0.3
    assert sweep_of([false_alarm]).best_with_lesion is None


def test_scores_without_lesion_are_undefined_not_zero() -> None:
    sweep = sweep_of([(np.zeros((4, 4), np.float32), np.zeros((4, 4), bool))])
    assert np.isnan(sweep.sensitivity).all() and np.isnan(sweep.dice_with_lesion).all() and np.isnan(sweep.f1).all()
    assert (sweep.dice == 1).all()
    assert not math.isnan(sweep.specificity[0])
