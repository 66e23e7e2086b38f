"""Segment all inputs of a job by several processes of this machine, with the outputs that one process would give."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.inference.inputs.sources import Shard, is_standard_input
from endoseg_cli.inference.job import (
    NOTHING_DONE,
    JobListener,
    JobResult,
    opened_tables,
    plan_job,
    segment_all,
    style_of,
)
from endoseg_cli.inference.many.gather import Gathering, remove_parts
from endoseg_cli.inference.many.how_many import processes_for
from endoseg_cli.inference.many.messages import Message
from endoseg_cli.inference.many.processes import Processes
from endoseg_cli.inference.many.spool import SPOOL_PREFIX
from endoseg_cli.inference.many.units import Unit, expected_frames, make_units
from endoseg_cli.inference.many.work import Plan
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.inference.predict.choice import ModelFacts, PredictorChoice
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.write.output_paths import OutputConfig, Targets
from endoseg_cli.inference.write.overlay import OverlayConfig
from endoseg_cli.part_file import part_path, remove_part


class Engine(Protocol):
    """What does units of work; `Processes` are one."""

    def load(self) -> ModelFacts:
        """Load the model everywhere, and return what is said of it."""

    def do(self, units: Sequence[Unit], plan: Plan) -> Iterator[Message]:
        """Do all units, longest first, and yield what is told of them; each ends once."""


def segment_inputs(
    inputs: Sequence[str],
    outputs: OutputConfig,
    choose: Callable[[], PredictorChoice],
    overlay: OverlayConfig,
    config: SegmentConfig,
    listener: JobListener,
    shard: Shard | None = None,
    *,
    processes: int | None = 1,
    on_loaded: Callable[[ModelFacts], None],
) -> JobResult:
    """Segment files, folders and globs as `run_job` does, by one or several processes; None is as many as fit.

    `choose` finds the model once inputs and outputs are checked.
    """
    targets = plan_job(inputs, outputs, config, listener, shard)
    if not targets:
        return NOTHING_DONE
    choice = choose()
    count, note = processes_for(processes, targets, choice)
    if note is not None:
        listener.noted(note)

    def load() -> Predictor:
        predictor = choice.load()
        on_loaded(ModelFacts.of(predictor))
        return predictor

    if count == 1:
        return segment_all(targets, outputs, load, overlay, config, listener)
    return segment_by_processes(
        targets, outputs, choice, overlay, config, listener, processes=count, on_loaded=on_loaded
    )


def segment_by_processes(
    targets: Sequence[Targets],
    outputs: OutputConfig,
    choice: PredictorChoice,
    overlay: OverlayConfig,
    config: SegmentConfig,
    listener: JobListener,
    *,
    processes: int,
    on_loaded: Callable[[ModelFacts], None],
) -> JobResult:
    """Segment planned inputs (`plan_job`), several at a time.

    An input that fails, also one whose process is killed, does not stop the others. Where the job stops early, the
    outputs that are complete stay, and no part file. Raises UsageError for what is piped in, which one process reads.
    """
    for target in targets:
        if is_standard_input(target.source.path):
            raise UsageError(f"--jobs: one process alone can read {target.source.path}", hint="leave --jobs out")
    with own_folder() as spool, no_parts_left(targets, outputs), Processes(choice, processes, spool) as engine:
        return gather_from(
            engine,
            targets,
            outputs,
            overlay,
            config,
            listener,
            processes=processes,
            spool=spool,
            on_loaded=on_loaded,
        )


def gather_from(
    engine: Engine,
    targets: Sequence[Targets],
    outputs: OutputConfig,
    overlay: OverlayConfig,
    config: SegmentConfig,
    listener: JobListener,
    *,
    processes: int,
    spool: Path,
    on_loaded: Callable[[ModelFacts], None],
) -> JobResult:
    """Have an engine segment planned inputs, and return what became of them."""
    facts = engine.load()
    on_loaded(facts)
    style = style_of(facts, targets, outputs, overlay, config)
    plan = Plan(
        style=style,
        config=config,
        spool=spool,
        wants_records=outputs.records is not None,
        wants_annotations=outputs.annotations is not None,
    )
    units = make_units(
        targets,
        lambda target: expected_frames(target, config),
        batch_size=facts.batch_size,
        processes=processes,
    )
    with opened_tables(outputs, style.class_names) as (records, annotations):
        gathering = Gathering(targets, units, spool, records, annotations, listener)
        listener.started_many(len(targets), processes)
        for message in engine.do(units, plan):
            gathering.take(message)
    return gathering.result()


@contextmanager
def no_parts_left(targets: Sequence[Targets], outputs: OutputConfig) -> Iterator[None]:
    """Remove all part files where the block ends early; those of other processes stay."""
    try:
        yield
    except BaseException:
        for target in targets:
            remove_parts(target)
        annotations = None if outputs.annotations is None else outputs.annotations.path
        for table in (outputs.records, annotations):
            if table is not None:
                remove_part(part_path(table))
        raise


@contextmanager
def own_folder() -> Iterator[Path]:
    """Make a folder for the rows of this job, and remove it."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=SPOOL_PREFIX))
    except OSError as error:
        raise OutputError(
            f"cannot make a temporary folder: {error.strerror}", hint="check the free space, or set TMPDIR"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
