"""Do one unit of work, in whatever process."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from endoseg_cli.annotations.writing.writer import AnnotationWriter
from endoseg_cli.errors import DEBUG_VARIABLE, EndosegError, explain
from endoseg_cli.inference.many.messages import Advanced, Ended, Kept, Message
from endoseg_cli.inference.many.spool import spooled
from endoseg_cli.inference.many.units import Unit
from endoseg_cli.inference.pipeline import Outcome, Progress, SegmentConfig, segment_video
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.stills import segment_pictures
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.inference.write.products import ProductStyle, VideoProducts
from endoseg_cli.inference.write.records import RecordsSink

TELL_SECONDS = 0.1
"""How often a process tells how far it is."""
Tell = Callable[[Message], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How all units of a job are done; it can be sent to another process."""

    style: ProductStyle
    """How products look."""
    config: SegmentConfig
    """How inputs are segmented."""
    spool: Path
    """Folder for rows on their way to the tables."""
    wants_records: bool
    """Whether there is a table of frames."""
    wants_annotations: bool
    """Whether there are annotations."""


def do_unit(unit: Unit, predictor: Predictor, plan: Plan, tell: Tell) -> Ended:
    """Segment the inputs of a unit; their errors are in what is returned.

    Of several pictures, what the device or a bug raises is raised here too, as it is by one process alone.
    """
    wanted = {"wants_records": plan.wants_records, "wants_annotations": plan.wants_annotations}
    with spooled(plan.spool, unit.first, **wanted) as (records, annotations):
        doing = _Doing(unit, predictor, plan, records, annotations, tell)
        return doing.pictures() if unit.is_pictures else doing.video()


class _Doing:
    def __init__(
        self,
        unit: Unit,
        predictor: Predictor,
        plan: Plan,
        records: RecordsSink | None,
        annotations: AnnotationWriter | None,
        tell: Tell,
    ) -> None:
        self._unit, self._predictor, self._plan, self._tell = unit, predictor, plan, tell
        self._records, self._annotations = records, annotations
        self._told = 0.0

    def video(self) -> Ended:
        place = self._unit.first

        def keep(products: VideoProducts) -> None:
            self._tell(Kept(parts=tuple(products.parts), frames=products.frames))

        try:
            outcome = segment_video(
                self._unit.targets[0],
                self._predictor,
                self._plan.style,
                self._plan.config,
                self._records,
                on_progress=self._progress,
                on_interrupted=keep,
                annotations=self._annotations,
            )
        except Exception as error:
            return Ended(unit=self._unit, failures=((place, explained(error)),))
        return Ended(unit=self._unit, outcomes=((place, outcome),))

    def pictures(self) -> Ended:
        targets: Sequence[Targets] = self._unit.targets
        outcomes: list[tuple[int, Outcome]] = []
        failures: list[tuple[int, EndosegError]] = []

        def count() -> None:
            done = len(outcomes) + len(failures)
            self._progress(Progress(frames=done, total=len(targets), seconds=0))

        def place() -> int:  # both are told in the order of the pictures
            return self._unit.first + len(outcomes) + len(failures)

        def note(outcome: Outcome) -> None:
            outcomes.append((place(), outcome))
            count()

        def fail(_: Targets, error: Exception) -> None:
            failures.append((place(), explained(error)))
            count()

        stages = segment_pictures(
            targets,
            self._predictor,
            self._plan.style,
            self._plan.config,
            self._records,
            self._annotations,
            on_done=note,
            on_failed=fail,
        )
        return Ended(unit=self._unit, outcomes=tuple(outcomes), failures=tuple(failures), stages=stages)

    def _progress(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS:
            self._told = now
            self._tell(Advanced(first=self._unit.first, frames=progress.frames, total=progress.total))


def explained(error: Exception) -> EndosegError:
    """Return an error as its user can act on it, and print its traceback here where ENDOSEG_DEBUG asks for it."""
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    return explain(error)
