"""One video from its path or address to its outputs, on whatever machine: fetched, segmented, delivered, noted down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from endoseg_cli.errors import EndosegError, InputError, OutputError
from endoseg_cli.inference.cluster.finished import (
    Entry,
    Ledger,
    WrittenFile,
    find_changes,
    outcome_of,
    outcome_values,
    sha256_of,
)
from endoseg_cli.inference.cluster.private_folder import private_folder
from endoseg_cli.inference.cluster.remote_files import deliver, fetch, size_of
from endoseg_cli.inference.cluster.rows import RowsWriter, read_rows
from endoseg_cli.inference.cluster.stage import Stage, staged
from endoseg_cli.inference.inputs.addresses import called, is_address
from endoseg_cli.inference.pipeline import Outcome, SegmentConfig, segment_video
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.inference.write.overlay import OverlayConfig
from endoseg_cli.inference.write.products import ProductStyle


@dataclass(frozen=True, kw_only=True)
class VideoTask:
    """A video and where its outputs go; it can be sent to another machine."""

    number: int
    """Place among the inputs of the job."""
    name: str
    """What the user calls it, without secrets."""
    row_name: str
    """What tables and messages call it."""
    targets: Targets
    """Where its outputs go: paths from the root on, or addresses."""
    url: str | None
    """Its whole address; None for a path, which every machine must see."""
    size: int | None
    """Its bytes as the job found them, None where nobody says and for pictures."""
    settings: str
    """Digest of all that decides what is written."""

    @property
    def key(self) -> str:
        """What its entry is kept by: its path from the root on, or its address without secrets."""
        return called(self.targets.source.path)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What all tasks of a job share; it can be sent to another machine."""

    job: str
    """Name of this run."""
    config: SegmentConfig
    """How inputs are segmented."""
    overlay: OverlayConfig
    """How overlays look."""
    ledger: Path
    """Where is noted what is finished."""
    wants_records: bool
    """Whether there is a table of frames."""
    wants_annotations: bool
    """Whether there are annotations."""
    tokens: tuple[Path, ...]
    """Files that the job wrote into the folders of its outputs; a machine that does not see them sees other folders."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of a video."""

    outcome: Outcome
    """What `segment` says of it."""
    before: bool
    """Whether it was finished by an earlier run, and only looked at now."""


class NotSharedError(OutputError):
    """A machine does not see the folders of the job: nothing would be right there."""


def perform(task: VideoTask, order: Order, load: Callable[[], Predictor]) -> Done:
    """Segment one video unless it is finished; the model is loaded only where there is something to do.

    Outputs are written into a private folder and then copied to their places, each whole; raises what the input, the
    model or the outputs are refused for. A task that is stopped, or killed, leaves nothing under a final name, or
    outputs that the next try knows as its own.
    """
    for token in order.tokens:
        if not token.is_file():
            raise NotSharedError(
                f"it does not see the folder {token.parent} of the machine that started the job",
                hint="mount the same folder on every node under the same path, or write to s3:// or gs://",
            )
    with private_folder() as folder:
        return _Doing(task, order, folder).run(load)


class _Doing:
    def __init__(self, task: VideoTask, order: Order, folder: Path) -> None:
        self._task, self._order, self._folder = task, order, folder
        self._ledger = Ledger(order.ledger)
        self._stage = Stage(folder / "out")
        self._input = folder / "in" / task.targets.source.path.name if task.url else task.targets.source.path

    def run(self, load: Callable[[], Predictor]) -> Done:
        entry = own_entry(self._ledger, self._task, self._order)
        if entry is not None and not find_changes(self._written_before()) and entry.complete:
            return Done(outcome=outcome_of(entry.outcome, self._task.targets), before=entry.job != self._order.job)
        with self._told():
            self._have_input()
            outcome = self._segment(load())
        told = replace(
            outcome,
            targets=self._task.targets,
            damage=tuple(map(self._in_words, outcome.damage)),
            warnings=tuple(map(self._in_words, outcome.warnings)),
        )
        self._deliver(told)
        return Done(outcome=told, before=False)

    def _have_input(self) -> None:
        task = self._task
        if task.url is not None:
            self._input.parent.mkdir()
            fetch(task.url, self._input, task.size)
        elif not self._input.exists():
            hint = "mount the same folder on every node under the same path, or give s3:// or https://"
            raise NotSharedError(f"it does not see the file {task.name}", hint=hint)
        elif task.size not in (None, found := size_of(self._input)):
            message = f"{task.name} has {found} bytes, {task.size} when the job began"
            raise InputError(message, hint="wait until it is complete, and start again")

    def _segment(self, predictor: Predictor) -> Outcome:
        order, card = self._order, predictor.card
        style = ProductStyle(
            class_names=card.class_names,
            overlay=order.overlay,
            model=card.name,
            half_precision=predictor.half_precision,
            keep_metadata=order.config.keep_metadata,
        )
        rows = RowsWriter(self._rows, final=self._stage.final)
        try:
            outcome = segment_video(
                staged(self._task.targets, self._stage, self._input),
                predictor,
                style,
                replace(order.config, overwrite=True),
                rows.records if order.wants_records else None,
                annotations=rows.annotations if order.wants_annotations else None,
            )
            for path in self._stage.files():
                rows.add("file", asdict(self._written(path)))
        finally:
            rows.close()
        return outcome

    def _deliver(self, outcome: Outcome) -> None:
        """Note what will be written, write it, and note that it is written."""
        key, scratch = self._task.key, self._folder / "entry.json"
        entry = Entry(
            settings=self._task.settings, job=self._order.job, complete=False, outcome=outcome_values(outcome)
        )
        deliver(self._rows, self._ledger.rows_file(key))
        self._ledger.write(key, entry, scratch)
        for path in self._stage.files():
            deliver(path, self._stage.final(path))
        self._ledger.write(key, replace(entry, complete=True), scratch)

    @property
    def _rows(self) -> Path:
        return self._folder / "rows.gz"

    def _written(self, path: Path) -> WrittenFile:
        place = str(self._stage.final(path))
        of_frame = path.suffix == ".png"
        return WrittenFile(place=place, size=path.stat().st_size, sha256="" if of_frame else sha256_of(path))

    def _written_before(self) -> list[WrittenFile]:
        """Return what the entry's rows say was written; raises InputError for rows that are damaged."""
        rows = local_copy(self._ledger.rows_file(self._task.key), self._folder / "before.rows.gz")
        return [WrittenFile(**value) for kind, value in read_rows(rows) if kind == "file"]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Let errors name inputs and outputs as the user does."""
        try:
            yield
        except EndosegError as error:
            details = [self._in_words(detail) for detail in error.details]
            hint = None if error.hint is None else self._in_words(error.hint)
            raise type(error)(self._in_words(error.message), hint=hint, details=details) from error

    def _in_words(self, text: str) -> str:
        return self._stage.told(text.replace(str(self._input), self._task.name))


def own_entry(ledger: Ledger, task: VideoTask, order: Order) -> Entry | None:
    """Return what an earlier try noted of a video; None where it was of other settings, or is to be done anew."""
    entry = ledger.read(task.key)
    if entry is None or entry.settings != task.settings or (order.config.overwrite and entry.job != order.job):
        return None
    return entry


def local_copy(place: Path, target: Path) -> Path:
    """Return a path with the content of a file: its own, or that of a copy where it lies in a store."""
    if not is_address(place):
        return place
    fetch(called(place), target, None)
    return target
