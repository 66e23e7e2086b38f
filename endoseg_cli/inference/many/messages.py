"""What the processes of a job tell its parent; all can be sent to another process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from endoseg_cli.errors import EndosegError
from endoseg_cli.inference.flow.stages import StageSeconds
from endoseg_cli.inference.many.units import Unit
from endoseg_cli.inference.pipeline import Outcome


@dataclass(frozen=True, kw_only=True)
class Advanced:
    """A unit goes on."""

    first: int
    """Which one: place of its first input."""
    frames: int
    """Frames or pictures done."""
    total: int | None
    """How many there are, as far as is known."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A video stopped early, by an error of its own; so much of it can be played."""

    parts: tuple[Path, ...]
    frames: int


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A unit is done; each of its inputs has either an outcome or a failure."""

    unit: Unit
    outcomes: tuple[tuple[int, Outcome], ...] = ()
    """Inputs that were segmented, by their place among all inputs."""
    failures: tuple[tuple[int, EndosegError], ...] = ()
    """Inputs that failed."""
    stages: StageSeconds | None = None
    """How long each stage was busy with pictures; videos say so in their outcome."""
    has_rows: bool = True
    """Whether its spool is whole: not where the process that wrote it was killed."""


Message = Advanced | Kept | Ended
