"""Segment all inputs of a job with one model; one input that fails does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

from endoseg_cli.annotations.writing.writer import AnnotationWriter
from endoseg_cli.errors import EndosegError, UsageError, explain
from endoseg_cli.inference.flow.stages import StageSeconds
from endoseg_cli.inference.inputs.ahead import LookAhead
from endoseg_cli.inference.inputs.sources import Shard, Source, find_sources
from endoseg_cli.inference.inputs.views import check_redaction
from endoseg_cli.inference.pipeline import Outcome, Progress, SegmentConfig, segment_video
from endoseg_cli.inference.predict.choice import ModelFacts
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.stills import segment_picture, segment_pictures
from endoseg_cli.inference.write.output_paths import (
    OutputConfig,
    Targets,
    check_class_folders,
    check_no_originals,
    plan,
)
from endoseg_cli.inference.write.overlay import OverlayConfig
from endoseg_cli.inference.write.products import ProductStyle, VideoProducts
from endoseg_cli.inference.write.records import RecordsSink, RecordsWriter
from endoseg_cli.pictures.redaction import LOOK_FIRST


class JobListener(Protocol):
    """What the command line wants to hear while a job runs; every call comes while the job waits."""

    def noted(self, text: str) -> None:
        """Something among the inputs was left out."""

    def started(self, source: Source) -> None:
        """An input is about to be segmented."""

    def progressed(self, progress: Progress) -> None:
        """A frame of the current video, or one of several pictures, was written; called in the writing thread."""

    def finished(self, outcome: Outcome) -> None:
        """An input is done."""

    def started_pictures(self, count: int) -> None:
        """Several pictures are about to be segmented in batches."""

    def started_many(self, inputs: int, processes: int) -> None:
        """All inputs are about to be segmented by several processes; progress is then that of all together."""

    def finished_pictures(self, outcomes: Sequence[Outcome], seconds: float, stages: StageSeconds) -> None:
        """Several pictures are done."""

    def stopped_pictures(self, done: int, total: int) -> None:
        """Several pictures stopped early, after so many."""

    def failed(self, source: Source, error: EndosegError) -> None:
        """An input of several failed; the job goes on."""

    def kept(self, parts: Sequence[Path], frames: int) -> None:
        """The current video stopped early; so many frames are kept in these part files."""


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What became of all inputs."""

    outcomes: tuple[Outcome, ...]
    """Inputs that were segmented."""
    failures: tuple[tuple[Source, EndosegError], ...]
    """Inputs that failed."""

    @property
    def damaged(self) -> bool:
        """Whether any input failed or was damaged."""
        return bool(self.failures) or any(outcome.damage for outcome in self.outcomes)


NOTHING_DONE = JobResult(outcomes=(), failures=())


def run_job(
    inputs: Sequence[str],
    outputs: OutputConfig,
    load_predictor: Callable[[], Predictor],
    overlay: OverlayConfig,
    config: SegmentConfig,
    listener: JobListener,
    shard: Shard | None = None,
) -> JobResult:
    """Segment files, folders and globs; of a `shard` its share of them, which may be none.

    Inputs and outputs are checked before `load_predictor` is called. Raises the error of a single input; of several,
    each error is told to the listener and the others go on.
    """
    targets = plan_job(inputs, outputs, config, listener.noted, shard)
    return NOTHING_DONE if not targets else segment_all(targets, outputs, load_predictor, overlay, config, listener)


def plan_job(
    inputs: Sequence[str],
    outputs: OutputConfig,
    config: SegmentConfig,
    on_note: Callable[[str], None],
    shard: Shard | None = None,
) -> list[Targets]:
    """Return the inputs of a job, or of a share of it, with where their outputs go, all checked; see `run_job`."""
    sources = find_sources(inputs, sequences=config.fps is not None, on_note=on_note)
    check_frame_options(sources, config)
    targets = plan(sources, inputs, outputs, shard)
    if not targets:
        on_note(f"this share has no input: there are {len(sources)} in all")
    if config.redact.outside:
        on_note(LOOK_FIRST)
    if config.redact:
        check_redaction(config.redact, [target.source for target in targets])
        check_no_originals(targets)
    return targets


def style_of(
    model: ModelFacts,
    targets: Sequence[Targets],
    outputs: OutputConfig,
    overlay: OverlayConfig,
    config: SegmentConfig,
) -> ProductStyle:
    """Return how the products of a job look, which depends on its model.

    Raises UsageError where the model lacks what the refinement asked for needs, OutputError where its classes have
    pictures already.
    """
    config.refine.mode(has_network=model.has_corrective, model=model.name)
    check_class_folders(targets, model.class_names, overwrite=outputs.overwrite)
    return ProductStyle(
        class_names=model.class_names,
        overlay=overlay,
        model=model.name,
        half_precision=model.half_precision,
        gpu=model.gpu,
        keep_metadata=config.keep_metadata,
        whole_paths=config.whole_paths,
    )


@contextmanager
def opened_tables(
    outputs: OutputConfig, class_names: Sequence[str]
) -> Iterator[tuple[RecordsWriter | None, AnnotationWriter | None]]:
    """Open the files that go over all inputs; they get their names when the block ends well."""
    with ExitStack() as stack:
        records = None if outputs.records is None else stack.enter_context(RecordsWriter(outputs.records))
        wanted = outputs.annotations
        yield records, None if wanted is None else stack.enter_context(wanted.open(class_names))


def segment_all(
    targets: Sequence[Targets],
    outputs: OutputConfig,
    load_predictor: Callable[[], Predictor],
    overlay: OverlayConfig,
    config: SegmentConfig,
    listener: JobListener,
    ahead: LookAhead | None = None,
) -> JobResult:
    """Segment planned inputs one after the other; see `run_job`. `ahead` looked at one of them already."""
    predictor = load_predictor()
    style = style_of(ModelFacts.of(predictor), targets, outputs, overlay, config)
    with opened_tables(outputs, style.class_names) as (records, annotations):
        job = _Job(predictor, style, config, records, annotations, listener, ahead, is_alone=len(targets) == 1)
        for are_pictures, group in groupby(targets, key=lambda target: target.source.is_picture):
            members = list(group)
            if are_pictures and len(members) > 1:
                job.segment_pictures(members)
            else:
                for target in members:
                    job.segment(target)
    return JobResult(outcomes=tuple(job.outcomes), failures=tuple(job.failures))


def check_frame_options(sources: Sequence[Source], config: SegmentConfig) -> None:
    """Raise UsageError for options that would do nothing, as all inputs are pictures."""
    chosen = {
        "--start": config.start is not None,
        "--end": config.end is not None,
        "--every": config.every > 1,
        f"--refine {config.refine.choice}": config.refine.choice in ("flagged", "all"),
        "--causal": config.refine.causal,
    }
    given = [option for option, is_given in chosen.items() if is_given]
    if given and all(source.is_picture for source in sources):
        hint = "leave it out, or say with --fps that the pictures of a folder are the frames of a video"
        raise UsageError(f"{' and '.join(given)} would do nothing: all inputs are pictures", hint=hint)


class _Job:
    """What all inputs of a job share, and what became of those so far."""

    def __init__(
        self,
        predictor: Predictor,
        style: ProductStyle,
        config: SegmentConfig,
        records: RecordsSink | None,
        annotations: AnnotationWriter | None,
        listener: JobListener,
        ahead: LookAhead | None,
        *,
        is_alone: bool,
    ) -> None:
        self._ahead = ahead
        self._predictor, self._style, self._config = predictor, style, config
        self._records, self._annotations, self._listener = records, annotations, listener
        self._is_alone = is_alone
        self.outcomes: list[Outcome] = []
        self.failures: list[tuple[Source, EndosegError]] = []

    def segment(self, target: Targets) -> None:
        """Segment one video or picture; its error is raised only where it is the only input."""
        self._listener.started(target.source)
        try:
            outcome = self._segment(target)
        except Exception as error:
            if self._is_alone:
                raise
            self._fail(target, explain(error))
        else:
            self.outcomes.append(outcome)
            self._listener.finished(outcome)

    def segment_pictures(self, targets: Sequence[Targets]) -> None:
        """Segment several pictures in batches."""
        began = time.perf_counter()
        done: list[Outcome] = []
        failed = 0

        def progress() -> None:
            seconds = time.perf_counter() - began
            self._listener.progressed(Progress(frames=len(done) + failed, total=len(targets), seconds=seconds))

        def note(outcome: Outcome) -> None:
            done.append(outcome)
            progress()

        def fail(target: Targets, error: Exception) -> None:
            nonlocal failed
            failed += 1
            self._fail(target, explain(error))
            progress()

        self._listener.started_pictures(len(targets))
        try:
            stages = segment_pictures(
                targets,
                self._predictor,
                self._style,
                self._config,
                self._records,
                self._annotations,
                on_done=note,
                on_failed=fail,
            )
        except BaseException:
            self._listener.stopped_pictures(len(done), len(targets))
            raise
        self.outcomes += done
        self._listener.finished_pictures(done, time.perf_counter() - began, stages)

    def _fail(self, target: Targets, error: EndosegError) -> None:
        self.failures.append((target.source, error))
        self._listener.failed(target.source, error)

    def _segment(self, target: Targets) -> Outcome:
        if target.source.is_picture:
            return segment_picture(target, self._predictor, self._style, self._config, self._records, self._annotations)

        def keep(products: VideoProducts) -> None:
            self._listener.kept(products.parts, products.frames)

        return segment_video(
            target,
            self._predictor,
            self._style,
            self._config,
            self._records,
            on_progress=self._listener.progressed,
            on_interrupted=keep,
            annotations=self._annotations,
            look=None if self._ahead is None else self._ahead.of(target.source.path),
        )
