"""Put together what the processes of a job tell: one progress, one result, tables in the order of the inputs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from endoseg_cli.annotations.writing.writer import AnnotationWriter
from endoseg_cli.errors import EndosegError
from endoseg_cli.inference.flow.stages import StageSeconds
from endoseg_cli.inference.job import JobListener, JobResult
from endoseg_cli.inference.many.messages import Advanced, Ended, Kept, Message
from endoseg_cli.inference.many.spool import replay
from endoseg_cli.inference.many.units import Unit
from endoseg_cli.inference.pipeline import Outcome, Progress
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.inference.write.records import RecordsSink
from endoseg_cli.part_file import part_path, remove_part


class Gathering:
    """The parent's side of a job that several processes do."""

    def __init__(
        self,
        targets: Sequence[Targets],
        units: Sequence[Unit],
        spool: Path,
        records: RecordsSink | None,
        annotations: AnnotationWriter | None,
        listener: JobListener,
    ) -> None:
        self._targets, self._spool, self._listener = targets, spool, listener
        self._records, self._annotations = records, annotations
        self._outcomes: dict[int, Outcome] = {}
        self._failures: dict[int, EndosegError] = {}
        self._ended: dict[int, Ended] = {}
        self._next = 0
        self._done, self._totals = dict.fromkeys((unit.first for unit in units), 0), _totals(units)
        self._pictures: list[Outcome] = []
        self._stages = StageSeconds()
        self._began = time.perf_counter()

    def take(self, message: Message) -> None:
        """Take what a process told; raises OutputError where a table cannot be written."""
        match message:
            case Advanced():
                self._advance(message.first, message.frames, message.total)
            case Kept():
                self._listener.kept(message.parts, message.frames)
            case Ended():
                self._end(message)

    def result(self) -> JobResult:
        """Return what became of all inputs, in their order."""
        assert self._next == len(self._targets), "every input has ended"
        if self._pictures:
            seconds = sum(outcome.seconds for outcome in self._pictures)
            self._listener.finished_pictures(self._pictures, seconds, self._stages)
        return JobResult(
            outcomes=tuple(self._outcomes[place] for place in sorted(self._outcomes)),
            failures=tuple((self._targets[place].source, self._failures[place]) for place in sorted(self._failures)),
        )

    def _advance(self, first: int, frames: int, total: int | None) -> None:
        self._done[first] = frames
        self._totals[first] = max(total or self._totals.get(first, 0), frames)
        seconds = time.perf_counter() - self._began
        done, all_frames = sum(self._done.values()), sum(self._totals.values())
        self._listener.progressed(Progress(frames=done, total=all_frames, seconds=seconds))

    def _end(self, ended: Ended) -> None:
        unit = ended.unit
        self._outcomes.update(ended.outcomes)
        self._failures.update(ended.failures)
        for place, error in ended.failures:
            self._listener.failed(self._targets[place].source, error)
        outcomes = [outcome for _, outcome in ended.outcomes]
        if unit.is_pictures:
            self._pictures += outcomes
            self._add(ended.stages or StageSeconds())
        else:
            for outcome in outcomes:
                self._listener.finished(outcome)
        if not ended.has_rows:
            for target in unit.targets:
                remove_parts(target)
        frames = sum(outcome.frames for outcome in outcomes) + (len(ended.failures) if unit.is_pictures else 0)
        frames = max(frames, self._done.get(unit.first, 0))  # of a video that failed, what was done before
        self._totals[unit.first] = 0
        self._advance(unit.first, frames, frames)
        self._ended[unit.first] = ended
        self._replay()

    def _replay(self) -> None:
        """Write the rows of all units before which none is missing."""
        while (ended := self._ended.pop(self._next, None)) is not None:
            if ended.has_rows:
                replay(self._spool, ended.unit.first, self._records, self._annotations)
            self._next = ended.unit.end

    def _add(self, stages: StageSeconds) -> None:
        for stage, busy in vars(stages).items():
            setattr(self._stages, stage, getattr(self._stages, stage) + busy)


def _totals(units: Sequence[Unit]) -> dict[int, int]:
    return {unit.first: unit.frames for unit in units}


def remove_parts(target: Targets) -> None:
    """Remove what an input's outputs are called while they grow, except what another process is writing."""
    for file in target.files():
        remove_part(part_path(file))
