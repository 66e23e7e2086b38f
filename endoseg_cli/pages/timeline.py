"""What a page knows of each frame, kept in a few bytes a frame."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Any

from endoseg_cli.temporal.isolated_frames import FrameFlag


@dataclass(frozen=True, kw_only=True)
class FrameFacts:
    """One frame as the timeline shows it; what is not defined is NaN."""

    time: float
    """Seconds on the clock of the page's video."""
    area: float
    """Share of the frame that is drawn as lesion, 0 to 1."""
    confidence: float
    """Mean probability over these pixels; NaN without any."""
    uncertainty: float
    """Mean binary entropy over the frame, in nats."""
    isolated: FrameFlag | None = None
    """How the mask fails in this frame alone."""
    dice: float = math.nan
    """Dice against the truth; NaN where it is not known."""


class Timeline:
    """The frames of one video, in order: 20 bytes each."""

    def __init__(self) -> None:
        self._time = array("d")
        self._values = {name: array("f") for name in ("area", "confidence", "uncertainty", "dice")}
        self.isolated: dict[int, FrameFlag] = {}
        """Frames that fail alone, by their position here."""

    def __len__(self) -> int:
        return len(self._time)

    def add(self, facts: FrameFacts) -> None:
        """Append a frame."""
        if facts.isolated is not None:
            self.isolated[len(self)] = facts.isolated
        self._time.append(facts.time)
        for name, values in self._values.items():
            values.append(getattr(facts, name))

    def columns(self) -> dict[str, Any]:
        """Return lists as JSON takes them: None for NaN, and no `dice` where there is none at all."""
        columns: dict[str, Any] = {"time": [round(time, 6) for time in self._time]}
        for name, values in self._values.items():
            columns[name] = [None if math.isnan(value) else round(value, 5) for value in values]
        if all(value is None for value in columns["dice"]):
            del columns["dice"]
        return columns
