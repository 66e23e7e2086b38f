"""Segment videos by the machines of a cluster, with the outputs that one process on one machine would give."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import endoseg_cli
from endoseg_cli.errors import EndosegError, OutputError, UsageError
from endoseg_cli.inference.cluster.finished import Ledger, folder_of, ledger_folder, sha256_of
from endoseg_cli.inference.cluster.inputs import Inputs, find_videos
from endoseg_cli.inference.cluster.private_folder import private_folder
from endoseg_cli.inference.cluster.remote_files import size_of, sizes_below
from endoseg_cli.inference.cluster.stage import absolute
from endoseg_cli.inference.cluster.tables import Tables
from endoseg_cli.inference.cluster.video_task import Done, Order, VideoTask, own_entry
from endoseg_cli.inference.inputs.addresses import called, is_address
from endoseg_cli.inference.inputs.sources import Shard
from endoseg_cli.inference.inputs.views import check_redaction
from endoseg_cli.inference.job import JobListener, JobResult, check_frame_options
from endoseg_cli.inference.many.gather import Telling, result_of
from endoseg_cli.inference.many.messages import Advanced, Ended
from endoseg_cli.inference.many.run import SegmentJob
from endoseg_cli.inference.many.units import Unit, expected_frames
from endoseg_cli.inference.predict.choice import PredictorChoice
from endoseg_cli.inference.write.output_paths import Targets, check_class_folders, check_no_originals, plan
from endoseg_cli.networks.files.bundle import load_bundle

TOKEN_ENDING = ".endoseg.tmp"
_BYTES_A_FRAME = 20_000
"""What a frame of a video elsewhere is taken to be."""


class Cluster(Protocol):
    """What hands tasks out to machines."""

    def room(self, choice: PredictorChoice) -> int:
        """Return how many videos the machines can do at a time; raises DeviceError where that is none."""

    def run(
        self, tasks: Sequence[VideoTask], order: Order, choice: PredictorChoice
    ) -> Generator[tuple[VideoTask, Done | EndosegError], None, None]:
        """Do all tasks and yield what became of each, once, as they end; raises what stops the whole job."""


@dataclass(frozen=True, kw_only=True)
class ClusterResult(JobResult):
    """What became of all inputs."""

    before: int
    """How many of them an earlier run had finished."""


def segment_on_cluster(job: SegmentJob, listener: JobListener, cluster: Cluster) -> ClusterResult:
    """Segment the videos that paths, folders, globs and addresses stand for, one task each.

    What an earlier run with the same model and options finished is looked at and left as it is. Raises the error of a
    single input; of several, each error is told to the listener and the others go on. Where the job stops early, the
    videos that are finished stay, and the next run leaves them out.
    """
    if job.processes != 1:
        raise UsageError("--jobs is for one machine, and --engine ray for many", hint="leave one of them out")
    found = find_videos(job.inputs, sequences=job.config.fps is not None, on_note=listener.noted)
    check_frame_options(found.sources, job.config)
    with private_folder() as scratch:
        doing = _Job(job, found, scratch)
        tasks = doing.plan(job.shard)
        if not tasks:
            listener.noted(f"this share has no input: there are {len(found.sources)} in all")
            return ClusterResult(outcomes=(), failures=(), before=0)
        return doing.run(tasks, cluster, listener)


class _Job:
    """A job on its way from what was asked for to its result."""

    def __init__(self, job: SegmentJob, found: Inputs, scratch: Path) -> None:
        outputs, config, overlay, choice = job.outputs, job.config, job.overlay, job.choose()
        folder = ledger_folder(outputs)
        self._outputs, self._choice, self._found, self._scratch = outputs, choice, found, scratch
        self._ledger = Ledger(folder if is_address(folder) else folder.absolute())
        self._tables = Tables(outputs, self._ledger, scratch)
        self._order = Order(
            job=secrets.token_hex(8),
            config=config,
            overlay=overlay,
            ledger=self._ledger.folder,
            wants_records=outputs.records is not None,
            wants_annotations=outputs.annotations is not None,
            tokens=(),
        )
        self._settings = (
            endoseg_cli.__version__,
            sha256_of(choice.path),
            replace(choice, path=Path(), device=""),
            replace(config, overwrite=False, whole_paths=False),
            (overlay, self._order.wants_records, self._order.wants_annotations),
        )
        self._targets: list[Targets] = []
        self._fresh: list[Targets] = []

    def plan(self, shard: Shard | None) -> list[VideoTask]:
        """Return a task for each video of a share, once inputs and outputs are checked."""
        noted = self._ledger.names()
        done: dict[Path, bool] = {}

        def is_done(target: Targets) -> bool:
            task = self._task(0, target)
            is_noted = self._ledger.entry_file(task.key).name in noted
            done[target.source.path] = is_noted and own_entry(self._ledger, task, self._order) is not None
            return done[target.source.path]

        sources, texts = self._found.sources, self._found.texts
        self._targets = plan(sources, texts, self._outputs, shard, is_done=is_done, is_own=self._tables.is_own)
        self._fresh = [target for target in self._targets if not done.get(target.source.path)]
        if self._order.config.redact:
            check_redaction(self._order.config.redact, [target.source for target in self._fresh])
            check_no_originals(self._fresh)
        if not self._outputs.overwrite:
            _check_stores(self._fresh)
        self._tables.check_addresses()
        return [self._task(number, target) for number, target in enumerate(self._targets)]

    def run(self, tasks: Sequence[VideoTask], cluster: Cluster, listener: JobListener) -> ClusterResult:
        """Have all tasks done and write the tables."""
        bundle = load_bundle(self._choice.path)
        class_names = tuple(bundle.card.class_names)
        self._order.config.refine.mode(has_network=bundle.corrective is not None, model=bundle.card.name)
        check_class_folders(self._fresh, class_names, overwrite=self._outputs.overwrite)
        units = {task.number: self._unit(task) for task in tasks}
        listener.started_many(len(tasks), min(cluster.room(self._choice), len(tasks)))
        before, all_ended = self._hand_out(tasks, units, cluster, listener)
        finished = {ended.unit.first for ended in all_ended if ended.outcomes}
        self._tables.write([task for task in tasks if task.number in finished], class_names)
        result = result_of(self._targets, all_ended)
        return ClusterResult(outcomes=result.outcomes, failures=result.failures, before=before)

    def _hand_out(
        self, tasks: Sequence[VideoTask], units: dict[int, Unit], cluster: Cluster, listener: JobListener
    ) -> tuple[int, list[Ended]]:
        """Have all tasks done; return how many an earlier run had finished, and what became of each."""
        telling = Telling(self._targets, list(units.values()), listener)
        longest_first = sorted(tasks, key=lambda task: -units[task.number].frames)
        before, all_ended = 0, []
        with _tokens(self._folders(), self._order.job) as tokens:
            order = replace(self._order, tokens=tokens)
            # closed at once where the job stops early: what runs is cancelled before the tokens go
            with closing(cluster.run(longest_first, order, self._choice)) as results:
                for task, done in results:
                    if isinstance(done, EndosegError) and len(tasks) == 1:
                        raise done
                    all_ended.append(self._ended(units[task.number], done))
                    if isinstance(done, EndosegError) or not done.before:
                        telling.take(all_ended[-1])
                        continue
                    before += 1
                    listener.noted(f"done before: {task.row_name}")
                    frames = done.outcome.frames
                    telling.take(Advanced(first=task.number, frames=frames, total=frames))
        return before, all_ended

    def _task(self, number: int, target: Targets) -> VideoTask:
        path = target.source.path
        remote, placed = self._found.remote.get(path), absolute(target)
        size = remote.size if remote is not None else None if target.source.pictures else size_of(path)
        return VideoTask(
            number=number,
            name=target.called,
            row_name=target.called if self._order.config.whole_paths else target.source.name,
            targets=placed,
            url=None if remote is None else remote.url,
            size=size,
            settings=_digest(*self._settings, placed, size),
        )

    def _unit(self, task: VideoTask) -> Unit:
        target = self._targets[task.number]
        is_remote = task.url is not None
        frames = (task.size or 0) // _BYTES_A_FRAME if is_remote else expected_frames(target, self._order.config)
        return Unit(first=task.number, targets=(target,), frames=max(frames, 1))

    def _ended(self, unit: Unit, done: Done | EndosegError) -> Ended:
        if isinstance(done, EndosegError):
            return Ended(unit=unit, failures=((unit.first, done),))
        outcome = replace(done.outcome, targets=self._targets[unit.first])  # called as the user does
        return Ended(unit=unit, outcomes=((unit.first, outcome),))

    def _folders(self) -> set[Path]:
        """Return the folders on this machine that every machine must see."""
        outputs = self._outputs
        given = (outputs.masks, outputs.overlay, outputs.mask_pictures, outputs.probabilities, outputs.frames)
        asked = [folder_of(path) for path in (*given, outputs.report) if path is not None]
        return {folder.absolute() for folder in (*asked, self._ledger.folder.parent) if not is_address(folder)}


def _check_stores(targets: Sequence[Targets]) -> None:
    """Raise OutputError for an output in a store that is there already; each folder is listed once."""
    listings: dict[Path, dict[str, int]] = {}

    def listed(folder: Path) -> dict[str, int]:
        if folder not in listings:
            listings[folder] = sizes_below(folder)
        return listings[folder]

    for target in targets:
        files = {path for path in (target.masks, target.report, *target.overlays) if path and is_address(path)}
        folders = [path for path in (target.mask_pictures, target.probabilities) if path and is_address(path)]
        if target.frames is not None and is_address(target.frames):
            folders.append((target.frames / target.frame_name(0)).parent)
        there = [file for file in files if file.name in listed(file.parent)]
        there += [folder for folder in folders if any(name.endswith(".png") for name in listed(folder))]
        if there:
            hint = "add --overwrite, or choose another name"
            raise OutputError(f"the output exists already: {called(there[0])}", hint=hint)


@contextmanager
def _tokens(folders: set[Path], job: str) -> Iterator[tuple[Path, ...]]:
    """Put a file into each folder while the block runs, by which other machines know it; raises OutputError."""
    with ExitStack() as stack:
        tokens = []
        for folder in sorted(folders):
            token = folder / f".{job}{TOKEN_ENDING}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                token.touch()
            except OSError as error:
                raise OutputError(f"cannot write {token}: {error.strerror}", hint="choose another folder") from error
            stack.callback(token.unlink, missing_ok=True)
            tokens.append(token)
        yield tuple(tokens)


def _digest(*values: object) -> str:
    """Return a digest of values whose text says all of them."""
    return hashlib.sha256(repr(values).encode("utf-8", "surrogateescape")).hexdigest()
