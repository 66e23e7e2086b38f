"""Segment all inputs of a job with one model; one input that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from endoseg_cli.annotations.writer import AnnotationWriter
from endoseg_cli.errors import EndosegError, UsageError
from endoseg_cli.inference.outputs import OutputConfig, Source, Targets, check_class_folders, find_sources, plan
from endoseg_cli.inference.overlay import OverlayConfig
from endoseg_cli.inference.pipeline import Outcome, Progress, SegmentConfig, segment_picture, segment_video
from endoseg_cli.inference.predictor import Predictor
from endoseg_cli.inference.products import ProductStyle, VideoProducts
from endoseg_cli.inference.records import RecordsWriter


class JobListener(Protocol):
    """What the command line wants to hear while a job runs; every call comes while the job waits."""

    def started(self, source: Source) -> None:
        """An input is about to be segmented."""

    def progressed(self, progress: Progress) -> None:
        """A frame of the current video was written; called in the writing thread."""

    def finished(self, outcome: Outcome) -> None:
        """An input is done."""

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


def run_job(
    inputs: Sequence[str],
    outputs: OutputConfig,
    load_predictor: Callable[[], Predictor],
    overlay: OverlayConfig,
    config: SegmentConfig,
    listener: JobListener,
) -> JobResult:
    """Segment files, folders and globs.

    Inputs and outputs are checked before `load_predictor` is called. Raises the error of a single input; of several,
    each error is told to the listener and the others go on.
    """
    sources = find_sources(inputs)
    _check_frame_options(sources, config)
    targets = plan(sources, inputs, outputs)
    predictor = load_predictor()
    config.refine.mode(has_network=predictor.corrective is not None, model=predictor.card.name)  # refuses a lack early
    check_class_folders(targets, predictor.card.class_names, overwrite=outputs.overwrite)
    style = ProductStyle(class_names=predictor.card.class_names, overlay=overlay)
    outcomes: list[Outcome] = []
    failures: list[tuple[Source, EndosegError]] = []
    with ExitStack() as stack:
        records = None if outputs.records is None else stack.enter_context(RecordsWriter(outputs.records))
        wanted = outputs.annotations
        annotations = None if wanted is None else stack.enter_context(wanted.open(style.class_names))
        for target in targets:
            listener.started(target.source)
            try:
                outcome = _segment(target, predictor, style, config, records, annotations, listener)
            except EndosegError as error:
                if len(targets) == 1:
                    raise
                failures.append((target.source, error))
                listener.failed(target.source, error)
            else:
                outcomes.append(outcome)
                listener.finished(outcome)
    return JobResult(outcomes=tuple(outcomes), failures=tuple(failures))


def _check_frame_options(sources: Sequence[Source], config: SegmentConfig) -> None:
    chosen = {
        "--start": config.start is not None,
        "--end": config.end is not None,
        "--every": config.every > 1,
        f"--refine {config.refine.choice}": config.refine.choice in ("flagged", "all"),
        "--causal": config.refine.causal,
    }
    given = [option for option, is_given in chosen.items() if is_given]
    if given and all(source.is_picture for source in sources):
        raise UsageError(f"{' and '.join(given)} would do nothing: all inputs are pictures", hint="leave it out")


def _segment(
    targets: Targets,
    predictor: Predictor,
    style: ProductStyle,
    config: SegmentConfig,
    records: RecordsWriter | None,
    annotations: AnnotationWriter | None,
    listener: JobListener,
) -> Outcome:
    if targets.source.is_picture:
        return segment_picture(targets, predictor, style, config, records, annotations)

    def keep(products: VideoProducts) -> None:
        listener.kept(products.parts, products.frames)

    return segment_video(
        targets,
        predictor,
        style,
        config,
        records,
        on_progress=listener.progressed,
        on_interrupted=keep,
        annotations=annotations,
    )
