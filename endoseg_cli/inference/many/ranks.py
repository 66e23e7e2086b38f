"""Segment all inputs of a job by the processes that torchrun started, on one machine or several.

Each takes every so many of the units, longest first. The first one writes the tables and tells what became of all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist

from endoseg_cli.errors import EndosegError
from endoseg_cli.inference.job import JobListener, JobResult, opened_tables, plan_job
from endoseg_cli.inference.many.gather import Tables, Telling, result_of
from endoseg_cli.inference.many.leftovers import no_parts_left, own_folder
from endoseg_cli.inference.many.messages import Ended
from endoseg_cli.inference.many.run import SegmentJob, check_shareable, plan_units
from endoseg_cli.inference.many.units import Unit
from endoseg_cli.inference.many.work import Plan, Tell, do_unit, explained
from endoseg_cli.inference.predict.choice import ModelFacts, PredictorChoice
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.write.output_paths import OutputConfig, Targets

LONGEST_WAIT = timedelta(days=30)
"""How long a process may wait for the others, which may have hours of video left."""
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """The place of this process among those that torchrun started."""

    rank: int
    """Number of this process, from 0; process 0 writes tables and talks."""
    size: int
    """How many there are."""

    @property
    def leads(self) -> bool:
        """Whether this process talks."""
        return self.rank == 0

    def gather(self, item: Item) -> list[Item]:
        """Return the items of all processes, in the order of their ranks."""
        items: list[Item] = [item] * self.size
        dist.all_gather_object(items, item)
        return items

    def lead(self, item: Item) -> Item:
        """Return what process 0 holds."""
        box = [item]
        dist.broadcast_object_list(box, src=0)
        return box[0]


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the processes of torchrun; they talk by gloo, as little is said and nothing of it on GPUs."""
    dist.init_process_group("gloo", timeout=LONGEST_WAIT)
    try:
        yield Ranks(rank=dist.get_rank(), size=dist.get_world_size())
    finally:
        dist.destroy_process_group()


class _Elsewhere(Exception):
    """Something failed, which process 0 tells."""


def segment_by_ranks(
    prepare: Callable[[], SegmentJob], listener: JobListener, on_loaded: Callable[[ModelFacts], None]
) -> tuple[SegmentJob, JobResult] | None:
    """Segment the job that every process prepares; return it and its result in process 0, None in the others.

    Whatever fails in any process before the work is raised in process 0, once. An input that fails does not stop the
    others; what stops a process is raised in process 0 when the others are done.
    """
    with joined() as ranks:
        try:
            job, targets, choice = _agreed(ranks, lambda: _plan(prepare, listener, ranks))
            predictor, facts = _load(ranks, choice)
            if ranks.leads:
                on_loaded(facts)
            with ExitStack() as stack:
                return _segment(ranks, job, targets, predictor, listener, stack)
        except _Elsewhere:
            return None


def _plan(
    prepare: Callable[[], SegmentJob], listener: JobListener, ranks: Ranks
) -> tuple[SegmentJob, Sequence[Targets], PredictorChoice]:
    job = prepare()
    targets = plan_job(job.inputs, job.outputs, job.config, listener.noted if ranks.leads else lambda _: None)
    check_shareable(targets)
    choice = job.choose()
    return job, targets, replace(choice, device=_own_device(choice.device))


def _own_device(name: str) -> str:
    """Return the GPU of this process's local rank; on a machine with fewer GPUs, several share one."""
    if name not in ("auto", "cuda") or not torch.cuda.is_available():
        return name
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"


def _agreed(ranks: Ranks, work: Callable[[], Item]) -> Item:
    """Do something in every process; what fails in any is raised in process 0, and in the others that it was."""
    done: list[Item] = []
    error: EndosegError | None = None
    try:
        done.append(work())
    except Exception as raised:
        error = explained(raised)
    errors = [found for found in ranks.gather(error) if found is not None]
    if errors:
        raise errors[0] if ranks.leads else _Elsewhere
    return done[0]


def _load(ranks: Ranks, choice: PredictorChoice) -> tuple[Predictor, ModelFacts]:
    """Load the model, first in process 0, which finds out how it is computed fastest."""
    first = _agreed(ranks, lambda: choice.load() if ranks.leads else None)
    facts = ranks.lead(None if first is None else ModelFacts.of(first))
    assert facts is not None, "process 0 has loaded the model"

    def follow() -> Predictor:
        predictor = choice.load()
        predictor.compute_as(facts.half_precision)
        return predictor

    return _agreed(ranks, lambda: follow() if first is None else first), facts


def _segment(
    ranks: Ranks,
    job: SegmentJob,
    targets: Sequence[Targets],
    predictor: Predictor,
    listener: JobListener,
    stack: ExitStack,
) -> tuple[SegmentJob, JobResult] | None:
    facts = ModelFacts.of(predictor)
    plan, units = _agreed(ranks, lambda: plan_units(job, targets, facts, Path(), ranks.size))
    units = ranks.lead(units)
    own = units[ranks.rank :: ranks.size]
    stack.enter_context(
        no_parts_left([one for unit in own for one in unit.targets], job.outputs if ranks.leads else None)
    )
    tables = _agreed(ranks, lambda: _open(job.outputs, facts, stack) if ranks.leads else None)
    plan = replace(plan, spool=ranks.lead(Path() if tables is None else tables.spool))
    telling = Telling(targets, own, listener) if ranks.leads else None
    if telling is not None:
        listener.started_many(len(targets), ranks.size)
    ended, error = _do(own, predictor, plan, (lambda _: None) if telling is None else telling.take)
    everything = ranks.gather((ended, error))
    if telling is None or tables is None:
        return None
    for rank, (theirs, _) in enumerate(everything):
        for one in theirs if rank else ():
            telling.take(one)
    telling.finish()
    all_ended = [one for theirs, _ in everything for one in theirs]
    for one in all_ended:
        tables.take(one)
    for _, found in everything:
        if found is not None:
            raise found
    return job, result_of(targets, all_ended)


def _open(outputs: OutputConfig, facts: ModelFacts, stack: ExitStack) -> Tables:
    """Open the tables, and beside them, where all machines see it, a folder for the rows on their way there."""
    records, annotations = stack.enter_context(opened_tables(outputs, facts.class_names))
    wanted = outputs.tables
    if wanted:
        wanted[0].parent.mkdir(parents=True, exist_ok=True)
    return Tables(stack.enter_context(own_folder(wanted[0].parent if wanted else None)), records, annotations)


def _do(units: Sequence[Unit], predictor: Predictor, plan: Plan, tell: Tell) -> tuple[list[Ended], EndosegError | None]:
    """Do this process's units; return those that ended, and what stopped it before the others did."""
    all_ended: list[Ended] = []
    try:
        for unit in units:
            ended = do_unit(unit, predictor, plan, tell)
            all_ended.append(ended)
            tell(ended)
    except Exception as error:
        return all_ended, explained(error)
    return all_ended, None
