from __future__ import annotations

import pytest

from endoseg_cli.benchmark.measure import Compared, MeasureConfig, Timing, Work, in_turns, measure, real_time
from endoseg_cli.errors import UsageError


def test_a_timing_is_the_median_of_its_repeats() -> None:
    timing = Timing(seconds=(4.0, 1.0, 2.0), frames=50)
    assert timing.per_frame == 0.04 and timing.rate == 25 and timing.spread == 1.5
    assert timing.to_dict() == {
        "frames": 50,
        "seconds": [4.0, 1.0, 2.0],
        "milliseconds_a_frame": 40.0,
        "frames_per_second": 25.0,
        "spread": 1.5,
    }
    assert real_time(timing) == {"25": True, "30": False, "60": False}


def test_repeats_take_about_the_seconds_asked_for_but_no_fewer_frames_than_the_warm_up() -> None:
    config = MeasureConfig(seconds=2.0)
    assert config.frames(Timing(seconds=(1.0,), frames=10), least=8) == 20
    assert config.frames(Timing(seconds=(100.0,), frames=10), least=8) == 8
    assert config.frames(Timing(seconds=(1e-9,), frames=10), least=8) == 20_000


def test_the_warm_up_is_not_counted_and_what_is_timed_was_made_ready() -> None:
    told: list[tuple[str, int]] = []

    def work(frames: int) -> int:
        told.append(("work", frames))
        return min(frames, 7)  # the file ends

    found = measure(work, MeasureConfig(seconds=1e-12, repeats=3), first=9, ready=lambda n: told.append(("ready", n)))
    assert told == [("ready", 9), ("work", 9), ("ready", 9), *[("work", 9)] * 3]
    assert found.frames == 7 and len(found.seconds) == 3 and min(found.seconds) > 0


def test_works_that_are_compared_take_turns_at_being_first() -> None:
    order: list[str] = []

    def run(name: str) -> Work[int]:
        def work(frames: int) -> int:
            order.append(name)
            return frames

        return Work(name=name, run=work, count=lambda done: done)

    found = in_turns([run("a"), run("b"), run("c")], MeasureConfig(seconds=1e-12, repeats=3), first=5)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"
    assert list(found) == ["a", "b", "c"]
    assert all((each.timing.frames, each.results) == (5, (5, 5, 5)) for each in found.values())


def test_ratios_are_taken_round_by_round_and_frame_by_frame() -> None:
    own = Compared[int](timing=Timing(seconds=(1.0, 2.0), frames=10), results=(10, 10))
    other = Compared[int](timing=Timing(seconds=(2.0, 2.0), frames=5), results=(5, 5))
    assert own.ratios_to(other) == (4.0, 2.0)


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": float("nan")}, {"seconds": 1e9}, {"repeats": 0}])
def test_impossible_numbers_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(wrong))} must be"):
        MeasureConfig(**wrong)  # type: ignore[arg-type]
