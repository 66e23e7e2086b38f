"""Frames that share a time in their file get times of their own."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from endoseg_cli.errors import UsageError
from endoseg_cli.video.reading.coarse_clock import FinerClock
from endoseg_cli.video.reading.reader import VideoReader, probe
from endoseg_cli.video.writing.writer import MaskWriter
from tests.video.conftest import Render
from tests.video.rendering import Clip, grey


def fast(frames_per_second: int, **settings: object) -> Clip:
    """A clip in Matroska, whose clock has a thousand ticks in a second."""
    times = {"pts": list(range(100)), "time_base": Fraction(1, frames_per_second)}
    return Clip(name="fast.mkv", codec="ffv1", frames=100, picture=grey, **times, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [1200, 2000, 5000])
def test_more_than_one_frame_a_tick_are_spread(render: Render, rate: int) -> None:
    path = render(fast(rate))
    with av.open(str(path)) as container:
        stored = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert len(set(stored)) < len(stored)
    with VideoReader(path) as reader:
        times = [frame.time for frame in reader]
    assert len(times) == 100 and all(later > earlier for earlier, later in pairwise(times))
    assert max(abs(time - index / rate) for index, time in enumerate(times)) < 0.0015
    assert reader.damage.coarse_clock and not reader.damage.found
    assert len(reader.damage.sentences()) == 1 and "clock is too coarse" in reader.damage.sentences()[0]


def test_the_outputs_times_increase(render: Render, tmp_path: Path) -> None:
    path = render(fast(2000))
    with VideoReader(path) as reader, MaskWriter(tmp_path / "m.mp4", reader.info) as writer:
        for frame in reader:
            writer.write(np.zeros(reader.info.upright_size, np.uint8), frame.pts, frame.duration)
    with av.open(str(tmp_path / "m.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    times = [float(packet.pts * packet.time_base) for packet in packets if packet.pts is not None]
    assert len(times) == 100 and all(later > earlier for earlier, later in pairwise(times))
    assert times[-1] == pytest.approx(0.05, abs=0.002)


def test_matroska_is_refused_for_what_its_clock_cannot_tell_apart(render: Render, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"whole milliseconds, too coarse for 19.. frames per second") as refusal:
        MaskWriter(tmp_path / "m.mkv", probe(render(fast(2000))))
    assert refusal.value.hint == "write to m.mp4" and not list(tmp_path.glob("m.*"))


@pytest.mark.parametrize("rate", [25, 600, 1000])
def test_a_clock_that_suffices_stays(render: Render, rate: int) -> None:
    with VideoReader(render(fast(rate))) as reader:
        times = [frame.time for frame in reader]
    assert not reader.damage.coarse_clock and reader.info.time_base == Fraction(1, 1000)
    assert max(abs(time - index / rate) for index, time in enumerate(times)) <= 0.001


def test_a_start_in_the_middle_is_on_the_same_clock(render: Render) -> None:
    path = render(fast(2000))
    with VideoReader(path) as whole, VideoReader(path, start=0.02) as part:
        later = [(frame.index, frame.time) for frame in whole if frame.time >= 0.02]
        assert [(frame.index, frame.time) for frame in part] == later


def test_times_in_one_tick_follow_each_other() -> None:
    clock = FinerClock(Fraction(5, 2))
    assert clock.ticks == 6
    assert [clock.next(pts) for pts in (0, 0, 1, 1, 1, None, 4)] == [0, 2, 6, 8, 10, None, 24]
