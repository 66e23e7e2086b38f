"""Tell a video that was cut off from a whole one: FFmpeg itself ends both without an error."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from endoseg_cli.video.ends.promised_size import lacks_bytes
from endoseg_cli.video.ends.transport_end import ends_inside_a_packet

FEWEST_OF_AVI = 0.95
"""Share of the time in an AVI's header that a whole file fills at least: a few frames may have been left out."""
_SLACK_SECONDS = Fraction(1, 10)
# Only these keep the true length in a header; a transport stream's is guessed from what is there.
_WITH_LENGTH = ("mp4", "matroska")


def ends_early(container: InputContainer, stream: VideoStream, last_end: int | None) -> bool:
    """Whether the file lacks its end: it has fewer bytes than it says, or its last frame lies clearly too early.

    `last_end` is the end of the last frame in ticks. Of an AVI, FFmpeg shortens the length to what is there.
    """
    path = Path(container.name)
    if container.format.name == "mpegts":
        return ends_inside_a_packet(path)
    if lacks_bytes(path):
        return True
    if container.format.name == "avi":
        return (last_end or 0) < FEWEST_OF_AVI * stream.frames - 2
    expected = _expected_end(container, stream)
    if expected is None or last_end is None or stream.time_base is None:
        return False
    frame = 1 / stream.average_rate if stream.average_rate else Fraction(0)
    return last_end * stream.time_base < expected - 2 * frame - _SLACK_SECONDS


def _expected_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the end of the video stream in seconds, None where the file does not know it for certain."""
    if not any(name in container.format.name for name in _WITH_LENGTH):
        return None
    if "DURATION" in stream.metadata:
        return _clock_time(stream.metadata["DURATION"])
    # Matroska has no other; to a stream that begins late FFmpeg gives the file's length for its own.
    if stream.duration and stream.time_base and "matroska" not in container.format.name:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    # Without a length per stream, the file's length is that of its longest one, which may be the sound.
    alone = len(container.streams) == 1 and container.duration
    return Fraction(container.duration or 0, av.time_base) if alone else None


def _clock_time(text: str) -> Fraction | None:
    """Read Matroska's `00:01:02.345000000`."""
    try:
        hours, minutes, seconds = text.strip("\0 ").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return None
