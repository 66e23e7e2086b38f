"""Tell a video that was cut off from a whole one: FFmpeg itself ends both without an error."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

FEWEST_OF_AVI = 0.95
"""Share of the time in an AVI's header that a whole file fills at least: a few frames may have been left out."""
_RIFF_HEADER = 8
_SLACK_SECONDS = Fraction(1, 10)
# Only these keep the true length in a header; a transport stream's is guessed from what is there.
_WITH_LENGTH = ("mp4", "matroska")


def ends_early(container: InputContainer, stream: VideoStream, last_end: int | None) -> bool:
    """Whether the last frame (its end in ticks) lies clearly before the end that the header promises.

    Of an AVI the header has the size in bytes, too, and FFmpeg shortens its length to what is there.
    """
    if container.format.name == "avi":
        return _lacks_bytes(Path(container.name)) or (last_end or 0) < FEWEST_OF_AVI * stream.frames - 2
    expected = _expected_end(container, stream)
    if expected is None or last_end is None or stream.time_base is None:
        return False
    frame = 1 / stream.average_rate if stream.average_rate else Fraction(0)
    return last_end * stream.time_base < expected - 2 * frame - _SLACK_SECONDS


def _expected_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the end of the video stream in seconds, None where the file does not know it for certain."""
    if not any(name in container.format.name for name in _WITH_LENGTH):
        return None
    if stream.duration and stream.time_base:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    if "DURATION" in stream.metadata:
        return _clock_time(stream.metadata["DURATION"])
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


def _lacks_bytes(path: Path) -> bool:
    """Whether an AVI is shorter than its parts, of which large ones have several, say; False for what is no file."""
    if not path.is_file():
        return False
    at, size = 0, path.stat().st_size
    with path.open("rb") as file:
        while at + _RIFF_HEADER <= size:
            file.seek(at)
            kind, length = file.read(4), int.from_bytes(file.read(4), "little")
            if kind != b"RIFF":
                return False
            at += _RIFF_HEADER + length
    return at > size + _RIFF_HEADER  # some writers count the header in
