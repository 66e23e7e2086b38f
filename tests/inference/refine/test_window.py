from __future__ import annotations

from fractions import Fraction

import pytest

from endoseg_cli.inference.refine.window import MOST_FRAMES_A_STEP, neighbours, offset


def clock(rate: float, frames: int = 40) -> list[float]:
    return [3.0 + index / rate for index in range(frames)]


@pytest.mark.parametrize(("rate", "stride"), [(5, 1), (24, 1), (25, 1), (30, 1), (36, 1), (40, 2), (50, 2), (60, 2)])
def test_neighbours_lie_about_as_far_apart_as_in_training(rate: float, stride: int) -> None:
    times = clock(rate)
    assert neighbours(times, 20, 2, 1) == [20 + stride, 20 + 2 * stride]
    assert neighbours(times, 20, 2, -1) == [20 - stride, 20 - 2 * stride]


def test_there_are_fewer_at_the_ends() -> None:
    assert neighbours(clock(25), 1, 2, -1) == [0]
    assert neighbours(clock(25, 3), 2, 2, 1) == []
    assert neighbours(clock(60, 4), 1, 2, 1) == [3]
    assert neighbours(clock(25), 5, 0, 1) == []


def test_a_variable_rate_goes_by_timestamps() -> None:
    ticks = [0, 1, 2, 4, 5, 9, 10, 11, 14]  # of 90 a second; a step takes 2.4 of them
    times = [float(Fraction(tick, 90)) for tick in ticks]
    assert neighbours(times, 0, 3, 1) == [3, 5, 8]
    assert neighbours(times, 8, 3, -1) == [7, 4, 2]


def test_a_clock_that_hardly_moves_does_not_stretch_the_window() -> None:
    times = [index * 1e-5 for index in range(100)]
    assert neighbours(times, 0, 2, 1) == [MOST_FRAMES_A_STEP, 2 * MOST_FRAMES_A_STEP]


def test_offsets_count_frames_of_25_a_second() -> None:
    assert offset(10.04, 10.0) == pytest.approx(1) and offset(9.8, 10.0) == pytest.approx(-5)
