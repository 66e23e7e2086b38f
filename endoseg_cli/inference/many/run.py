"""Segment all inputs of a job by several processes of this machine, with the outputs that one process would give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.inputs.ahead import LookAhead
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
from endoseg_cli.inference.many.gather import Tables, Telling, result_of
from endoseg_cli.inference.many.how_many import processes_for
from endoseg_cli.inference.many.leftovers import no_parts_left, own_folder, remove_parts
from endoseg_cli.inference.many.messages import Ended, Message
from endoseg_cli.inference.many.processes import Processes
from endoseg_cli.inference.many.units import Unit, expected_frames, make_units
from endoseg_cli.inference.many.work import Plan
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.inference.predict.choice import ModelFacts, PredictorChoice
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.write.output_paths import OutputConfig, Targets
from endoseg_cli.inference.write.overlay import OverlayConfig


@dataclass(frozen=True, kw_only=True)
class SegmentJob:
    """What to segment, how, and where the results go."""

    inputs: Sequence[str]
    """Files, folders and globs."""
    outputs: OutputConfig
    """What to write."""
    overlay: OverlayConfig
    """How overlays look."""
    config: SegmentConfig
    """How inputs are segmented."""
    choose: Callable[[], PredictorChoice]
    """Finds the model, once inputs and outputs are checked."""
    shard: Shard | None = None
    """Which share of the inputs; None for all."""
    processes: int | None = 1
    """How many processes do them; None for as many as fit."""
    ahead: LookAhead | None = None
    """What looked at one of them already."""


class Engine(Protocol):
    """What does units of work; `Processes` are one."""

    def load(self) -> ModelFacts:
        """Load the model everywhere, and return what is said of it."""

    def do(self, units: Sequence[Unit], plan: Plan) -> Iterator[Message]:
        """Do all units, in this order, and yield what is told of them; each ends once.

        The rows of a unit lie in its spool (`spool_file`) when its `Ended` is yielded.
        """


def segment_job(job: SegmentJob, listener: JobListener, on_loaded: Callable[[ModelFacts], None]) -> JobResult:
    """Segment as `run_job` does, by one or several processes."""
    targets = plan_job(job.inputs, job.outputs, job.config, listener.noted, job.shard)
    if not targets:
        return NOTHING_DONE
    choice = job.choose()
    count, note = processes_for(job.processes, targets, choice)
    if note is not None:
        listener.noted(note)
    if count > 1:
        if job.ahead is not None:
            job.ahead.close()  # each process looks at its own videos
        return segment_by_processes(job, targets, choice, listener, processes=count, on_loaded=on_loaded)

    def load() -> Predictor:
        predictor = choice.load()
        on_loaded(ModelFacts.of(predictor))
        return predictor

    return segment_all(targets, job.outputs, load, job.overlay, job.config, listener, job.ahead)


def segment_by_processes(
    job: SegmentJob,
    targets: Sequence[Targets],
    choice: PredictorChoice,
    listener: JobListener,
    *,
    processes: int,
    on_loaded: Callable[[ModelFacts], None],
) -> JobResult:
    """Segment planned inputs (`plan_job`), several at a time.

    An input that fails, also one whose process is killed, does not stop the others. Where the job stops early, the
    outputs that are complete stay, and no part file. Raises UsageError for what is piped in, which one process reads.
    """
    check_shareable(targets)
    with (
        own_folder() as spool,
        no_parts_left(targets, job.outputs),
        Processes(choice, processes, spool) as engine,
    ):
        return gather_from(engine, job, targets, listener, processes=processes, spool=spool, on_loaded=on_loaded)


def check_shareable(targets: Sequence[Targets]) -> None:
    """Raise UsageError for what is piped in."""
    for target in targets:
        if is_standard_input(target.source.path):
            raise UsageError(f"only one process can read what is piped in: {target.source.path}", hint="use --jobs 1")


def gather_from(
    engine: Engine,
    job: SegmentJob,
    targets: Sequence[Targets],
    listener: JobListener,
    *,
    processes: int,
    spool: Path,
    on_loaded: Callable[[ModelFacts], None],
) -> JobResult:
    """Have an engine segment planned inputs, and return what became of them; `spool` is a folder for their rows."""
    facts = engine.load()
    on_loaded(facts)
    plan, units = plan_units(job, targets, facts, spool, processes)
    all_ended: list[Ended] = []
    with opened_tables(job.outputs, plan.style.class_names) as (records, annotations):
        telling, tables = Telling(targets, units, listener), Tables(spool, records, annotations)
        listener.started_many(len(targets), processes)
        try:
            for message in engine.do(units, plan):
                telling.take(message)
                if isinstance(message, Ended):
                    all_ended.append(message)
                    tables.take(message)
                    if not message.has_rows:
                        for target in message.unit.targets:
                            remove_parts(target)
        except BaseException:
            telling.stopped()
            raise
    telling.finish()
    return result_of(targets, all_ended)


def plan_units(
    job: SegmentJob, targets: Sequence[Targets], facts: ModelFacts, spool: Path, processes: int
) -> tuple[Plan, list[Unit]]:
    """Return how units are done, and the units, longest first; raises what `style_of` raises."""
    plan = Plan(
        style=style_of(facts, targets, job.outputs, job.overlay, job.config),
        config=job.config,
        spool=spool,
        wants_records=job.outputs.records is not None,
        wants_annotations=job.outputs.annotations is not None,
    )
    units = make_units(
        targets,
        lambda target: expected_frames(target, job.config),
        batch_size=facts.batch_size,
        processes=processes,
    )
    return plan, units
