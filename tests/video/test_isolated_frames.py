from __future__ import annotations

import pytest

from endoseg_cli.video.isolated_frames import flag_frame, flag_scene

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
