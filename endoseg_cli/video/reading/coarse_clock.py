"""Frames that come faster than their file's clock ticks, as over 1000 a second in Matroska: a finer clock for them."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.video.stream import VideoStream

from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.reading.source import open_container

_COARSE = ("matroska", "flv", "asf")
"""Containers whose clock ticks a thousand times a second."""
_FIRST_LOOK, _LOOK = 32, 500
"""Packets that show whether the clock suffices, and those from which the rate is learnt if it does not."""


class FinerClock:
    """Spreads frames that share a time, in ticks so fine that each has room."""

    def __init__(self, frames_per_tick: Fraction) -> None:
        self.rate = frames_per_tick
        """Frames in one tick of the file's clock."""
        self.ticks = 2 * math.ceil(frames_per_tick)
        """Ticks of this clock in one of the file's."""
        self._step = int(self.ticks / frames_per_tick)
        self._file: int | None = None
        self._own = 0

    def next(self, pts: int | None) -> int | None:
        """Return the time of the next frame in own ticks, `pts` being in the file's; None stays None."""
        if pts is None:
            return None
        self._own = self._own + self._step if pts == self._file else pts * self.ticks
        self._file = pts
        return self._own

    def described(self, info: VideoInfo) -> VideoInfo:
        """Return what is known of the video on this clock."""
        rate = self.rate / info.time_base
        frames = round(info.duration * rate) if info.duration else None
        return replace(info, time_base=info.time_base / self.ticks, average_rate=rate, estimated_frames=frames)


def finer_clock(path: Path, container: str, stream: VideoStream) -> FinerClock | None:
    """Return a clock for a video with more than one frame a tick, None where the file's own suffices.

    `container` is FFmpeg's name. Rates that a file states are no help: Matroska's end at its own clock.
    """
    if not any(name in container for name in _COARSE) or not path.is_file():
        return None
    if _frames_per_tick(path, stream.index, _FIRST_LOOK) <= 1:
        return None
    frames_per_tick = _frames_per_tick(path, stream.index, _LOOK)
    return FinerClock(frames_per_tick) if frames_per_tick > 1 else None


def _frames_per_tick(path: Path, stream: int, packets: int) -> Fraction:
    """Return the rate of a video's first packets; 0 for fewer than two."""
    with open_container(path) as container:
        first = islice(container.demux(container.streams[stream]), packets)
        try:
            times = [packet.pts for packet in first if packet.pts is not None]
        except av.error.FFmpegError:
            return Fraction(0)
    return Fraction(len(times) - 1, max(times) - min(times) or 1) if len(times) > 1 else Fraction(0)
