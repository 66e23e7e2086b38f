from __future__ import annotations

import math

import pytest

from endoseg_cli.errors import UsageError
from endoseg_cli.evaluation.frames.breakdown import SizeBounds, by_group, by_size
from endoseg_cli.evaluation.frames.metrics import FrameScore, score_counts


def lesion(pixels: int, *, found: int = 0, group: str = "a") -> FrameScore:
    return score_counts(tp=found, fp=0, fn=pixels - found, tn=1000 - pixels, group=group)


def test_each_group_is_summarised_alone_in_order_of_name() -> None:
    groups = by_group([lesion(10, found=10, group="b"), lesion(10, group="a"), lesion(10, found=10, group="a")])
    assert list(groups) == ["a", "b"]
    assert groups["a"].frames == 2
    assert groups["a"].dice.mean == pytest.approx(0.5, abs=1e-6)
    assert groups["b"].dice.mean == 1


@pytest.mark.parametrize(
    ("pixels", "size"),
    [(0, "no lesion"), (19, "small"), (20, "medium"), (100, "medium"), (101, "large"), (1000, "large")],
)
def test_borders_belong_to_medium(pixels: int, size: str) -> None:
    assert SizeBounds().size_of(lesion(pixels)) == size


def test_sizes_follow_the_bounds_and_leave_out_what_is_not_there() -> None:
    scores = [lesion(300, found=300), lesion(10), lesion(0)]
    assert list(by_size(scores, SizeBounds())) == ["small", "large", "no lesion"]
    halves = by_size(scores, SizeBounds(small_below=0.5, large_above=0.5))
    assert list(halves) == ["small", "no lesion"]
    assert halves["small"].frames == 2


@pytest.mark.parametrize("bounds", [(0.2, 0.1), (0.0, 0.1), (0.1, 1.0), (math.nan, 0.5)])
def test_impossible_bounds_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="--size-bounds"):
        SizeBounds(small_below=bounds[0], large_above=bounds[1])
