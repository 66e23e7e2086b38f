"""About how many frames a video has, from its header alone: quick, as no frame is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from endoseg_cli.errors import EndosegError
from endoseg_cli.video.reading.info import header_seconds
from endoseg_cli.video.reading.source import open_video


@dataclass(frozen=True, kw_only=True)
class HeaderFacts:
    """What a header says of the work that a video is."""

    seconds: float | None
    """How long it is; None if the header does not say."""
    rate: float | None
    """Frames per second on average; None if the header does not say."""
    pixels: int
    """Pixels of a frame; 0 if the header does not say."""


def read_header(path: Path) -> HeaderFacts | None:
    """Return what the header says; None for a file that is no video or cannot be read, which later says why."""
    try:
        container, stream = open_video(path)
    except EndosegError:
        return None
    with container:
        rate = stream.average_rate or stream.guessed_rate
        return HeaderFacts(
            seconds=header_seconds(container, stream),
            rate=float(rate) if rate else None,
            pixels=stream.width * stream.height,
        )
