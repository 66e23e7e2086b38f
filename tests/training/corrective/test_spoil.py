from __future__ import annotations

import numpy as np
import pytest

from endoseg_cli.networks.running.entropy import binary_entropy
from endoseg_cli.training.corrective.spoil import (
    FAILURES,
    Failure,
    Predictions,
    apply_failure,
    draw_frames,
    persist,
    spoil_window,
)

Truth = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def window() -> tuple[Predictions, Truth]:
    """Return right predictions of five frames with a disc, and the truth."""
    y, x = np.mgrid[:64, :64]
    truth = np.stack([(x - 30) ** 2 + (y - 32 - frame) ** 2 < 12**2 for frame in range(5)])
    probability = np.where(truth, 0.85, 0.001).astype(np.float32)
    return Predictions(probability=probability, uncertainty=binary_entropy(probability)), truth


def dice(said: Predictions, truth: Truth, frame: int) -> float:
    found = said.probability[frame] > 0.5
    return float(2 * (found & truth[frame]).sum() / (found.sum() + truth[frame].sum()))


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_spoils_its_frames_and_no_others(failure: Failure) -> None:
    said, truth = window()
    spoiled = apply_failure(said, failure, range(1, 3), np.random.default_rng(4))
    assert dice(spoiled, truth, 1) < 0.97 and dice(spoiled, truth, 2) < 0.97
    for frame in (0, 3, 4):
        assert np.array_equal(spoiled.probability[frame], said.probability[frame])
        assert np.array_equal(spoiled.uncertainty[frame], said.uncertainty[frame])
    assert spoiled.probability.min() >= 0 and spoiled.probability.max() <= 1
    assert spoiled.uncertainty.min() >= 0 and spoiled.uncertainty.max() <= np.log(2) + 1e-6


def test_an_emptied_frame_is_empty_and_an_invented_lesion_is_new() -> None:
    said, truth = window()
    assert dice(apply_failure(said, "emptied", range(2, 3), np.random.default_rng(0)), truth, 2) == 0
    nothing = Predictions(
        probability=np.full((3, 64, 64), 1e-6, np.float32), uncertainty=np.zeros((3, 64, 64), np.float32)
    )
    spoiled = apply_failure(nothing, "emptied", range(1, 2), np.random.default_rng(0))
    assert (spoiled.probability[1] > 0.5).any(), "where nothing is predicted, only a lesion can be invented"


def test_a_failure_never_takes_the_whole_window_and_mostly_the_centre() -> None:
    rng = np.random.default_rng(0)
    runs = [draw_frames(4, 1, rng) for _ in range(300)]
    assert all(0 <= run.start < run.stop <= 4 and len(run) < 4 for run in runs)
    assert 0.7 < np.mean([1 in run for run in runs]) < 1


def test_part_of_the_windows_is_left_alone() -> None:
    said, truth = window()
    untouched = [
        np.array_equal(spoil_window(said, truth, 2, np.random.default_rng(seed)).probability, said.probability)
        for seed in range(100)
    ]
    assert 0.15 < np.mean(untouched) < 0.5
    alone = Predictions(probability=said.probability[:1], uncertainty=said.uncertainty[:1])
    assert all(
        dice(spoil_window(alone, truth[:1], 0, np.random.default_rng(seed)), truth, 0) > 0.9 for seed in range(20)
    )


def test_a_persistent_false_positive_is_in_all_frames_and_only_where_there_is_no_lesion() -> None:
    said = Predictions(
        probability=np.full((5, 64, 64), 1e-6, np.float32), uncertainty=np.zeros((5, 64, 64), np.float32)
    )
    for seed in range(5):
        peaks = persist(said, np.random.default_rng(seed)).probability.max((1, 2))
        assert (peaks > 0.3).all() and len(set(peaks.tolist())) == 5
    nothing = np.zeros((5, 64, 64), np.bool_)
    drawn = [spoil_window(said, nothing, 2, np.random.default_rng(seed)).probability for seed in range(200)]
    everywhere = np.mean([(one.max((1, 2)) > 0.1).all() for one in drawn])
    assert 0.01 < everywhere < 0.2
