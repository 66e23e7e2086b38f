"""What the processes of a job hand out among each other: a video, or several pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.video.reading.length import read_header

MOST_BATCHES = 16
"""Batches of pictures in one unit at most: few enough to be done again if a process is killed."""
UNITS_A_PROCESS = 4
"""How many units of pictures there are at least for each process, so that none is idle for long at the end."""
_BYTES_A_FRAME = 20_000
"""What a frame of a video is taken to be where the header does not say how many there are."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What one process does at a time."""

    first: int
    """Place of its first input among all inputs of the job."""
    targets: tuple[Targets, ...]
    """One video, or pictures that follow each other."""
    frames: int
    """About how many frames or pictures it has."""

    @property
    def is_pictures(self) -> bool:
        """Whether it is pictures, not a video."""
        return self.targets[0].source.is_picture

    @property
    def end(self) -> int:
        """Place behind its last input."""
        return self.first + len(self.targets)

    def singly(self) -> list[Unit]:
        """Return a unit for each of its inputs."""
        return [Unit(first=self.first + place, targets=(one,), frames=1) for place, one in enumerate(self.targets)]


def make_units(
    targets: Sequence[Targets], frames: Callable[[Targets], int], *, batch_size: int, processes: int
) -> list[Unit]:
    """Return the units of a job, longest first; `frames` says about how many frames a video has.

    Pictures are cut where batches end, so that the same ones are predicted together as by one process.
    """
    units: list[Unit] = []
    place = 0
    for are_pictures, group in groupby(targets, key=lambda target: target.source.is_picture):
        members = tuple(group)
        step = _pictures_a_unit(len(members), batch_size, processes) if are_pictures else 1
        for start in range(0, len(members), step):
            some = members[start : start + step]
            count = len(some) if are_pictures else max(frames(some[0]), 1)
            units.append(Unit(first=place + start, targets=some, frames=count))
        place += len(members)
    return sorted(units, key=lambda unit: (-unit.frames, unit.first))


def _pictures_a_unit(count: int, batch_size: int, processes: int) -> int:
    batches = -(-count // batch_size)
    return batch_size * max(min(batches // (processes * UNITS_A_PROCESS), MOST_BATCHES), 1)


def expected_frames(target: Targets, config: SegmentConfig) -> int:
    """Return about how many frames a video has between --start and --end, from its header, else from its size."""
    source = target.source
    if source.pictures and config.fps is not None:
        seconds: float | None = len(source.pictures) / config.fps
        rate: float | None = config.fps
    else:
        header = read_header(source.path)
        seconds, rate = (None, None) if header is None else (header.seconds, header.rate)
    if seconds is None or not rate:
        return _by_size(target)
    return max(round((min(config.end or seconds, seconds) - (config.start or 0)) * rate), 0)


def _by_size(target: Targets) -> int:
    try:
        return target.source.path.stat().st_size // _BYTES_A_FRAME
    except OSError:
        return 0
