from __future__ import annotations

from collections.abc import Callable

import pytest

from endoseg_cli.errors import UsageError
from endoseg_cli.phantom.world.config import ClipConfig, PhantomConfig


@pytest.mark.parametrize(
    ("make", "flag"),
    [
        (lambda: PhantomConfig(scene="stomach"), "--scene .*'stomach'"),
        (lambda: PhantomConfig(size=(8, 64)), "--size .*64x8"),
        (lambda: PhantomConfig(seed=-1), "--seed"),
        (lambda: PhantomConfig(lesion_fraction=(0.4, 0.02)), "--lesion-fraction .*0.4 0.02"),
        (lambda: PhantomConfig(lesion_fraction=(0.1, 0.9)), "--lesion-fraction"),
        (lambda: PhantomConfig(empty_fraction=1.5), "--empty-fraction .*1.5"),
        (lambda: ClipConfig(seconds=0), "--seconds"),
        (lambda: ClipConfig(frames_per_second=0.5), "--fps"),
    ],
)
def test_values_out_of_range_are_refused_by_the_flags_name(make: Callable[[], object], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        make()


def test_a_clip_has_seconds_times_rate_frames() -> None:
    assert ClipConfig(seconds=0.6, frames_per_second=29.97).frames == 18
