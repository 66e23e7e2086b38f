from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from endoseg_cli.pages.appearances import Appearance, AppearanceFinder
from endoseg_cli.pages.thumbnails import Picture
from endoseg_cli.pages.timeline import FrameFacts, Timeline


def facts(index: int, area: float) -> FrameFacts:
    return FrameFacts(time=index / 10, area=area, confidence=0.9 if area else math.nan, uncertainty=0.1)


def found(areas: Sequence[float]) -> tuple[tuple[Appearance, ...], int]:
    """Return the appearances of ten frames a second, as bright as ten times their index, and how many were drawn."""
    finder, asked = AppearanceFinder(), 0

    def picture(index: int) -> Picture:
        nonlocal asked
        asked += 1
        return np.full((8, 8, 3), 10 * index, np.uint8)

    for index, area in enumerate(areas):
        finder.add(facts(index, area), lambda index=index: picture(index))  # type: ignore[misc]
    return finder.finish(), asked


def test_short_gaps_are_bridged_and_long_ones_are_not() -> None:
    areas = [0, 0.1, 0, 0, 0.2, 0, 0, 0, 0, 0, 0, 0.3, 0]
    (first, second), _ = found(areas)
    assert (first.first, first.last, first.frames, first.start, first.end) == (1, 4, 2, 0.1, 0.4)
    assert (second.first, second.last, second.frames) == (11, 11, 1)
    assert first.confidence == pytest.approx(0.9)


def test_the_thumbnail_is_of_the_largest_mask_and_few_are_made() -> None:
    (one,), asked = found([0.1, 0.101, 0.102, 0.3, 0.2])
    assert (one.peak, one.peak_area, one.peak_time) == (3, 0.3, 0.3)
    thumbnail = cv2.imdecode(np.frombuffer(one.thumbnail, np.uint8), cv2.IMREAD_COLOR)
    assert asked == 2 and thumbnail is not None and np.abs(thumbnail.astype(int) - 30).max() <= 2


def test_nothing_found_is_no_appearance() -> None:
    assert found([0, 0]) == ((), 0)


def test_the_timeline_leaves_out_what_is_not_defined() -> None:
    timeline = Timeline()
    timeline.add(facts(0, 0.25))
    timeline.add(facts(1, 0))
    columns = timeline.columns()
    assert columns == {
        "time": [0, 0.1],
        "area": [0.25, 0],
        "confidence": [pytest.approx(0.9), None],
        "uncertainty": [pytest.approx(0.1)] * 2,
    }
