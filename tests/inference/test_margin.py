"""Frames that nothing is wrong with get only what is sure of a correction."""

from __future__ import annotations

import numpy as np
import pytest

from endoseg_cli.inference.margin import beyond_margin
from endoseg_cli.inference.predictor import Probability
from tests.inference.mean_network import MeanNetwork, level_of, mean_refiner, predicted

RATE = 25


def probabilities(*values: float) -> Probability:
    return np.array(values, np.float32).reshape(1, 1, -1)


def sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


def test_what_stays_within_the_margin_is_the_very_probability() -> None:
    before = probabilities(0.3, 0.5, 0.9, 0.0, 1.0)
    after = probabilities(0.6, 0.1, 0.9, 0.0, 1.0)
    assert np.array_equal(beyond_margin(before, after, 4.0), before)


def test_only_the_excess_is_applied_to_either_side() -> None:
    before, after = probabilities(sigmoid(-3), sigmoid(2), 0.0), probabilities(sigmoid(4), sigmoid(-5), 1.0)
    moved = beyond_margin(before, after, 4.0)
    assert moved.ravel() == pytest.approx([sigmoid(-3 + 7 - 4), sigmoid(2 - 7 + 4), sigmoid(-9.5 + 19 - 4)], abs=1e-5)
    assert moved.dtype == np.float32


def test_without_a_margin_the_correction_stands() -> None:
    before, after = probabilities(0.2, 0.7), probabilities(0.9, 0.1)
    assert beyond_margin(before, after, 0.0).ravel() == pytest.approx([0.9, 0.1], abs=1e-5)


def test_flagged_frames_get_all_of_a_correction_and_their_neighbours_what_exceeds_the_margin() -> None:
    levels = [0.9, 0.9, 0.9, 0.1, 0.9, 0.9, 0.9]
    refiner = mean_refiner(MeanNetwork(), "all", margin=4.0)
    frames = [predicted(level, index / RATE) for index, level in enumerate(levels)]
    done = [one for frame in frames for one in refiner.step(frame)] + list(refiner.finish())
    assert level_of(done[3]) == pytest.approx(0.74, abs=1e-5)
    for index in (0, 1, 2, 4, 5, 6):
        assert done[index].refined and np.array_equal(done[index].probability, frames[index].probability)


def test_without_look_ahead_a_frame_that_says_otherwise_than_the_one_before_is_doubted() -> None:
    levels = [0.9, 0.9, 0.1, 0.1, 0.2]
    refiner = mean_refiner(MeanNetwork(), "all", causal=True, margin=4.0)
    done = [one for index, level in enumerate(levels) for one in refiner.step(predicted(level, index / RATE))]
    assert level_of(done[2]) == pytest.approx(np.mean([0.9, 0.9, 0.1]), abs=1e-5)
    assert [level_of(done[index]) for index in (0, 1, 3, 4)] == pytest.approx([0.9, 0.9, 0.1, 0.2])
