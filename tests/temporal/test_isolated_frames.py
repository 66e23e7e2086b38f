from __future__ import annotations

import pytest

from endoseg_cli.temporal.isolated_frames import MOST_FRAMES_A_RUN, flag_frame, flag_in_run, flag_scene

FP, FN = "false_positive", "false_negative"


def test_one_frame_that_differs_from_both_neighbours_is_flagged() -> None:
    assert flag_frame(0, 3, 0) == FP
    assert flag_frame(9, 0, 1) == FN
    for before, here, after in ((0, 0, 0), (1, 1, 1), (0, 1, 1), (1, 1, 0), (0, 0, 5), (5, 0, 0)):
        assert flag_frame(before, here, after) is None


@pytest.mark.parametrize(("before", "after"), [(None, 0), (0, None), (None, None)])
def test_without_a_neighbour_nothing_is_said(before: int | None, after: int | None) -> None:
    assert flag_frame(before, 7, after) is None


def test_a_scene_is_judged_frame_by_frame_and_not_at_its_ends() -> None:
    assert flag_scene([5, 0, 5, 5, 0, 0, 7, 0, 1]) == [None, FN, None, None, None, None, FP, FN, None]
    assert flag_scene([0]) == [None] and flag_scene([]) == []


def test_a_run_is_judged_by_its_seconds_and_only_where_other_frames_enclose_it() -> None:
    times = [index / 25 for index in range(9)]
    assert flag_in_run([1, 1, 0, 0, 0, 0, 1, 1, 1], times, 3) == (FN, True)
    assert flag_in_run([1, 0, 0, 0, 0, 0, 1, 1, 1], times, 3) == (None, True)
    assert flag_in_run([0, 0, 0, 2, 2, 0, 0, 0, 0], times, 4) == (FP, True)
    assert flag_in_run([0, 0, 0, 1, 1, 1, 1, 1, 1], times, 1) == (None, True), "nothing is known of before"


def test_a_run_that_has_not_ended_is_judged_later_unless_it_is_long_already() -> None:
    assert flag_in_run([0, 1, 1], [0.0, 0.04, 0.08], 2) == (None, False)
    assert flag_in_run([0, 1, 1], [0.0, 0.04, 0.30], 2) == (None, True)
    broken = [0.0] * (MOST_FRAMES_A_RUN + 2)
    assert flag_in_run([0] + [1] * (MOST_FRAMES_A_RUN + 1), broken, 1) == (None, True)
