"""When a lesion is in view: runs of frames with a mask, each with a small picture of its largest frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from endoseg_cli.pages.thumbnails import Picture
from endoseg_cli.pages.timeline import FrameFacts
from endoseg_cli.pictures.images import encode_jpeg

LONGEST_GAP = 0.5
"""Seconds without a mask after which the next one is another appearance."""
JPEG_QUALITY = 80


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """One time that a lesion is in view."""

    first: int
    """Its first frame, as the timeline counts."""
    last: int
    """Its last one."""
    start: float
    """Seconds of the first frame."""
    end: float
    """Seconds of the last frame."""
    peak: int
    """The frame with the largest mask."""
    peak_time: float
    """Its seconds."""
    peak_area: float
    """Share of that frame that is lesion."""
    frames: int
    """Frames with a mask; fewer than from first to last where gaps are bridged."""
    confidence: float
    """Mean confidence over these frames."""
    thumbnail: bytes
    """JPEG of the peak frame."""


@dataclass(kw_only=True)
class _Open:
    """An appearance under way."""

    first: int
    start: float
    last: int = 0
    end: float = 0.0
    peak: int = 0
    peak_time: float = 0.0
    peak_area: float = 0.0
    frames: int = 0
    confidence: float = 0.0
    picture: Picture | None = None


class AppearanceFinder:
    """Finds appearances while frames pass; one small picture is held, the others as JPEG."""

    def __init__(self) -> None:
        self._open: _Open | None = None
        self._frame = 0
        self._found: list[Appearance] = []

    def add(self, facts: FrameFacts, picture: Callable[[], Picture]) -> None:
        """Take the next frame; `picture` is called where it may become the thumbnail."""
        here, self._frame = self._frame, self._frame + 1
        if facts.area <= 0:
            if self._open is not None and facts.time - self._open.end > LONGEST_GAP:
                self._close()
            return
        if self._open is not None and facts.time - self._open.end > LONGEST_GAP:
            self._close()
        run = self._open = self._open or _Open(first=here, start=facts.time)
        run.last, run.end, run.frames = here, facts.time, run.frames + 1
        run.confidence += 0.0 if math.isnan(facts.confidence) else facts.confidence
        # A tenth more, so that a slowly growing mask does not cost a picture a frame.
        if run.picture is None or facts.area > 1.1 * run.peak_area:
            run.peak, run.peak_time, run.peak_area, run.picture = here, facts.time, facts.area, picture()

    def finish(self) -> tuple[Appearance, ...]:
        """Return all appearances, in order."""
        self._close()
        return tuple(self._found)

    def _close(self) -> None:
        run, self._open = self._open, None
        if run is None:
            return
        assert run.picture is not None, "an appearance begins with a frame that has a mask"
        facts: dict[str, Any] = {name: value for name, value in vars(run).items() if name != "picture"}
        facts["confidence"] /= run.frames
        self._found.append(Appearance(**facts, thumbnail=encode_jpeg(run.picture, JPEG_QUALITY)))
