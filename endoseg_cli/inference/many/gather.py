"""Put together what the processes of a job tell: one progress, one result, tables in the order of the inputs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from endoseg_cli.annotations.writing.writer import AnnotationWriter
from endoseg_cli.inference.flow.stages import StageSeconds
from endoseg_cli.inference.job import JobListener, JobResult
from endoseg_cli.inference.many.messages import Advanced, Ended, Kept, Message
from endoseg_cli.inference.many.spool import replay
from endoseg_cli.inference.many.units import Unit
from endoseg_cli.inference.pipeline import Outcome, Progress
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.inference.write.records import RecordsSink


class Telling:
    """Tells a listener how units go, all together."""

    def __init__(self, targets: Sequence[Targets], units: Sequence[Unit], listener: JobListener) -> None:
        """`targets` are those of the whole job, `units` those that are told of."""
        self._targets, self._listener = targets, listener
        self._done = {unit.first: 0 for unit in units}
        self._totals = {unit.first: unit.frames for unit in units}
        self._pictures: list[Outcome] = []
        self._kept: list[Kept] = []
        self._ended = 0
        self._stages = StageSeconds()
        self._began = time.perf_counter()

    def take(self, message: Message) -> None:
        """Take what was told of a unit."""
        match message:
            case Advanced():
                self._advance(message.first, message.frames, message.total)
            case Kept():
                self._kept.append(message)
            case Ended():
                self._end(message)

    def finish(self) -> None:
        """Sum up the pictures, and say what is kept of videos that failed."""
        for kept in self._kept:
            if parts := tuple(part for part in kept.parts if part.exists()):
                self._listener.kept(parts, kept.frames)
        if self._pictures:
            seconds = sum(outcome.seconds for outcome in self._pictures)
            self._listener.finished_pictures(self._pictures, seconds, self._stages)

    def stopped(self) -> None:
        """Say how far a job came that stops early."""
        self._listener.noted(
            f"stopped: {self._ended} of {len(self._targets)} inputs are done; what is complete stays, what was being"
            " written is removed"
        )

    def _advance(self, first: int, frames: int, total: int | None) -> None:
        self._done[first] = frames
        self._totals[first] = max(total or self._totals.get(first, 0), frames)
        seconds = time.perf_counter() - self._began
        done, all_frames = sum(self._done.values()), sum(self._totals.values())
        self._listener.progressed(Progress(frames=done, total=all_frames, seconds=seconds))

    def _end(self, ended: Ended) -> None:
        unit = ended.unit
        for place, error in ended.failures:
            self._listener.failed(self._targets[place].source, error)
        outcomes = [outcome for _, outcome in ended.outcomes]
        self._ended += len(outcomes)
        if unit.is_pictures:
            self._pictures += outcomes
            for stage, busy in vars(ended.stages or StageSeconds()).items():
                setattr(self._stages, stage, getattr(self._stages, stage) + busy)
        else:
            for outcome in outcomes:
                self._listener.finished(outcome)
        frames = sum(outcome.frames for outcome in outcomes) + (len(ended.failures) if unit.is_pictures else 0)
        frames = max(frames, self._done.get(unit.first, 0))  # of a video that failed, what was done before
        self._totals[unit.first] = 0  # what was expected counts no longer
        self._advance(unit.first, frames, frames)


class Tables:
    """Writes the rows of units into the tables, in the order of the inputs, as soon as none before them is missing."""

    def __init__(self, spool: Path, records: RecordsSink | None, annotations: AnnotationWriter | None) -> None:
        self.spool = spool
        self._records, self._annotations = records, annotations
        self._waiting: dict[int, Ended] = {}
        self._next = 0

    def take(self, ended: Ended) -> None:
        """Take a unit that has ended; raises OutputError where a table cannot be written."""
        self._waiting[ended.unit.first] = ended
        while (following := self._waiting.pop(self._next, None)) is not None:
            if following.has_rows:
                replay(self.spool, following.unit.first, self._records, self._annotations)
            self._next = following.unit.end


def result_of(targets: Sequence[Targets], all_ended: Sequence[Ended]) -> JobResult:
    """Return what became of all inputs, in their order."""
    outcomes = {place: outcome for ended in all_ended for place, outcome in ended.outcomes}
    failures = {place: error for ended in all_ended for place, error in ended.failures}
    return JobResult(
        outcomes=tuple(outcomes[place] for place in sorted(outcomes)),
        failures=tuple((targets[place].source, failures[place]) for place in sorted(failures)),
    )
