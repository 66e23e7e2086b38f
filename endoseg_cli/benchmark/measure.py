"""Take the time of work: warm-up left out, repeats as long as asked for, works that are compared in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from endoseg_cli.errors import UsageError

REAL_TIME_RATES = (25, 30, 60)
"""Frames per second of cameras."""
MOST_FRAMES = 20_000
"""Frames of one repeat at most, however fast the work is."""
LONGEST_SECONDS = 3600.0
"""Of one repeat; more is a slip."""

Result = TypeVar("Result")
Ready = Callable[[int], None]
"""Is told how many frames are about to be timed, so that they are there."""
Tell = Callable[[str], None]
"""Is told in a few words what is going on."""


def _nothing(_: object) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """How long and how often work is measured; raises UsageError for what is out of range."""

    seconds: float = 1.5
    """About how long each repeat of a whole run takes."""
    repeats: int = 3
    """How often each work is measured, after a warm-up that is not."""

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= LONGEST_SECONDS:
            raise UsageError(f"--seconds must be above 0 and at most {LONGEST_SECONDS:g}, found {self.seconds:g}")
        if not 1 <= self.repeats <= 1000:
            raise UsageError(f"--repeats must be 1 to 1000, found {self.repeats}")

    def frames(self, timing: Timing, *, least: int) -> int:
        """Return how many frames take about `seconds`, by a first timing of them."""
        return min(max(round(self.seconds * timing.rate), least), MOST_FRAMES)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The repeats of one work."""

    seconds: tuple[float, ...]
    """What each repeat took."""
    frames: int
    """Frames of each repeat."""

    @property
    def per_frame(self) -> float:
        """Median seconds a frame."""
        return statistics.median(self.seconds) / self.frames

    @property
    def rate(self) -> float:
        """Frames per second, by the median."""
        return 1 / self.per_frame

    @property
    def spread(self) -> float:
        """The slowest repeat less the fastest, as a share of the median."""
        return (max(self.seconds) - min(self.seconds)) / statistics.median(self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for --json."""
        return {
            "frames": self.frames,
            "seconds": list(self.seconds),
            "milliseconds_a_frame": 1000 * self.per_frame,
            "frames_per_second": self.rate,
            "spread": self.spread,
        }


def real_time(timing: Timing) -> dict[str, bool]:
    """Return for each camera's rate whether work keeps up with it."""
    return {str(rate): timing.rate >= rate for rate in REAL_TIME_RATES}


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """Return what a work gives and its seconds, which are never 0."""
    began = time.perf_counter()
    result = work()
    return result, max(time.perf_counter() - began, 1e-9)


def measure(work: Callable[[int], int], config: MeasureConfig, *, first: int, ready: Ready = _nothing) -> Timing:
    """Time `work`, which does so many frames and returns how many it did: a warm-up of `first`, then the repeats.

    Repeats take about the configured seconds, but do no fewer frames than the warm-up; `ready` is told before how many.
    """
    ready(first)
    done, seconds = timed(lambda: work(first))
    frames = config.frames(Timing(seconds=(seconds,), frames=max(done, 1)), least=first)
    ready(frames)
    repeats = [timed(lambda: work(frames)) for _ in range(config.repeats)]
    return Timing(seconds=tuple(seconds for _, seconds in repeats), frames=repeats[-1][0])


@dataclass(frozen=True, kw_only=True)
class Work(Generic[Result]):
    """One of several works that are compared."""

    name: str
    """What it is called."""
    run: Callable[[int], Result]
    """Does so many frames."""
    count: Callable[[Result], int]
    """Returns how many it did."""


@dataclass(frozen=True, kw_only=True)
class Compared(Generic[Result]):
    """What was measured of one of several works."""

    timing: Timing
    """Its repeats; the n-th of every work were made one after the other."""
    results: tuple[Result, ...]
    """What each repeat gave."""

    def ratios_to(self, other: Compared[Any]) -> tuple[float, ...]:
        """Return for each round how many times as fast as `other` this is."""
        pairs = zip(self.timing.seconds, other.timing.seconds, strict=True)
        scale = self.timing.frames / other.timing.frames
        return tuple(scale * theirs / own for own, theirs in pairs)


def in_turns(
    works: Sequence[Work[Result]],
    config: MeasureConfig,
    *,
    first: int,
    ready: Ready = _nothing,
    tell: Tell = _nothing,
) -> dict[str, Compared[Result]]:
    """Measure works on equally many frames, in turns, each round beginning with another one.

    The warm-up does `first` frames of each; the slowest then says how many frames take the configured seconds, which
    `ready` is told before they are timed.
    """
    rates = []
    ready(first)
    for work in works:
        tell(f"{work.name}, warm-up")
        result, seconds = timed(partial(work.run, first))
        rates.append(Timing(seconds=(seconds,), frames=max(work.count(result), 1)))
    frames = config.frames(min(rates, key=lambda each: each.rate), least=first)
    ready(frames)
    found: dict[str, list[tuple[Result, float]]] = {work.name: [] for work in works}
    for repeat in range(config.repeats):
        place = repeat % len(works)
        for work in (*works[place:], *works[:place]):
            tell(f"{work.name}, repeat {repeat + 1} of {config.repeats}")
            found[work.name].append(timed(partial(work.run, frames)))
    return {
        work.name: Compared(
            timing=Timing(
                seconds=tuple(seconds for _, seconds in found[work.name]), frames=work.count(found[work.name][-1][0])
            ),
            results=tuple(result for result, _ in found[work.name]),
        )
        for work in works
    }
