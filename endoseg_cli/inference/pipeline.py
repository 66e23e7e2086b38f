"""Segment one video: read -> predict -> refine -> write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from typing import Any

from endoseg_cli.annotations.writing.writer import AnnotationWriter
from endoseg_cli.errors import UsageError
from endoseg_cli.inference.flow.predicting import Passed, Predicting
from endoseg_cli.inference.flow.stages import Stages, StageSeconds
from endoseg_cli.inference.inputs.addresses import called
from endoseg_cli.inference.inputs.views import ViewChoice, redaction_of_video, view_of_video
from endoseg_cli.inference.predict.masks import MaskConfig, Segmentation, segment
from endoseg_cli.inference.predict.predictor import Predictor, Probability
from endoseg_cli.inference.refine.refiner import RefineConfig, RefineCounts, RefinedFrame, RefineMode, make_refiner
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.inference.write.products import ProductStyle, VideoProducts
from endoseg_cli.inference.write.records import RecordsSink
from endoseg_cli.pictures.field_of_view import FieldOfView
from endoseg_cli.pictures.redaction import NOTHING, OUTSIDE, RedactConfig, contradiction
from endoseg_cli.video.reading.field_of_view import Beginning
from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.reading.reader import Frame, VideoReader
from endoseg_cli.video.reading.sequence import SequenceReader

MOST_BYTES_BESIDE = 6 << 20
"""Frames that hold more, as those of 4K do, are refined between predictions: beside them, more would be in memory."""


@dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """How inputs are segmented."""

    mask: MaskConfig = field(default_factory=MaskConfig)
    """How probabilities become masks."""
    refine: RefineConfig = field(default_factory=RefineConfig)
    """Which frames of a video the corrective network refines."""
    start: float | None = None
    """Second of the video to start at."""
    end: float | None = None
    """Second of the video to stop before."""
    fps: float | None = None
    """Frames per second of folders whose pictures are the frames of a video; None if they are stills."""
    every: int = 1
    """Predict every so many frames; the frames between keep the last mask, and refinement looks past them."""
    field_of_view: ViewChoice | None = None
    """Which part of the frames the networks see; None for what the model's card says."""
    redact: RedactConfig = NOTHING
    """What is blanked in every picture that is written; the networks see it all the same."""
    keep_metadata: bool = False
    """Copy what inputs say beside their pictures (title, date, place) into videos and copied pictures."""
    whole_paths: bool = False
    """Name inputs in tables by their paths as they were given."""
    overwrite: bool = False
    """Replace outputs that exist."""

    def view(self, predictor: Predictor) -> ViewChoice:
        """Return which part of the frames a model sees."""
        return predictor.card.field_of_view if self.field_of_view is None else self.field_of_view

    def __post_init__(self) -> None:
        if self.every < 1:
            raise UsageError(f"--every must be at least 1, found {self.every}")
        if self.redact.outside and self.field_of_view == "off":
            raise UsageError(
                f"--redact {OUTSIDE} cannot go with --field-of-view off, which takes the whole frame",
                hint="give --field-of-view auto or X,Y,W,H",
            )
        if self.redact and self.keep_metadata:
            raise contradiction()


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a video has come."""

    frames: int
    """Frames written."""
    total: int | None
    """Frames there are, as far as the file says; None if it does not."""
    seconds: float
    """Seconds since the start."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one input."""

    targets: Targets
    """The input and its outputs."""
    frames: int
    """Frames written."""
    predicted_frames: int
    """Frames that the networks looked at, fewer with --every."""
    lesion_frames: int
    """Frames that the networks looked at and whose mask is not empty."""
    seconds: float
    """How long it took."""
    stages: StageSeconds
    """How long each stage was busy."""
    damage: tuple[str, ...]
    """What was damaged in the input, one sentence each."""
    warnings: tuple[str, ...]
    """What the outputs lack, and what was set right in a healthy input, one sentence each."""
    refine: RefineMode = "off"
    """Which frames were refined; a picture is not."""
    refine_counts: RefineCounts = field(default_factory=RefineCounts)
    """How many frames of a video were flagged and refined."""
    field_of_view: FieldOfView | None = None
    """The part of the frames that the networks saw; None for all."""
    runtime: str = "torch"
    """What ran the networks."""
    precision: str = "fp32"
    """What they computed in: fp32, or half of that, bf16 or fp16."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for --json."""
        rates = {stage: self.frames / busy if busy else None for stage, busy in vars(self.stages).items()}
        targets = self.targets
        outputs = {
            "masks": targets.masks,
            "overlay": targets.overlay,
            "mask_pictures": targets.mask_pictures,
            "probabilities": targets.probabilities,
            "frames": targets.frames,
            "report": targets.report,
        }
        return {
            "input": called(targets.source.path),
            "outputs": {name: called(path) for name, path in outputs.items() if path is not None},
            "frames": self.frames,
            "predicted_frames": self.predicted_frames,
            "lesion_frames": self.lesion_frames,
            "seconds": self.seconds,
            "frames_per_second": self.frames / self.seconds if self.seconds else None,
            "stage_frames_per_second": rates,
            "runtime": self.runtime,
            "precision": self.precision,
            "refine": {"mode": self.refine, **asdict(self.refine_counts)},
            "field_of_view": None if self.field_of_view is None else asdict(self.field_of_view),
            "damage": list(self.damage),
            "warnings": list(self.warnings),
        }


def segment_video(
    targets: Targets,
    predictor: Predictor,
    style: ProductStyle,
    config: SegmentConfig,
    records: RecordsSink | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_interrupted: Callable[[VideoProducts], None] | None = None,
    annotations: AnnotationWriter | None = None,
    look: Callable[[], Beginning] | None = None,
) -> Outcome:
    """Segment a video in constant memory, its frames keeping their timestamps.

    `look` gives the video's beginning where somebody else looked at it.

    If reading, predicting or writing fails, or Ctrl-C is pressed, everything stops, what was done is kept in playable
    `.part` files (`on_interrupted` gets to see them), and the error is raised.
    """
    began = time.perf_counter()
    refiner = make_refiner(predictor, config.refine, config.mask.threshold)
    reader = _open(targets, predictor.input_size, config, look)
    try:
        reader.crop = view_of_video(config.view(predictor), reader)
        redaction = redaction_of_video(config.redact, config.field_of_view, reader)
        seen = reader.crop or reader.info
        refiner.smallest_share = config.mask.min_area / max(seen.width * seen.height, 1)
        products = VideoProducts(
            targets,
            reader.info,
            style,
            records,
            overwrite=config.overwrite,
            audio_span=reader.span,
            annotations=annotations,
            redaction=redaction,
        )
    except BaseException:
        reader.close()
        raise
    writing = _Writing(products, reader, config, on_progress, began)
    predicting = Predicting(predictor, refiner)
    item_bytes = _frame_bytes(reader.info, targets)
    # on a GPU both would ask for its memory at the same time, and Metal takes no two threads
    beside = refiner.mode != "off" and predictor.device.type == "cpu" and item_bytes <= MOST_BYTES_BESIDE
    stages = Stages(
        _numbered(reader, config.every),
        predicting.predict if beside else predicting,
        writing,
        refine=predictor.beside(predicting.refine) if beside else None,
        batch_size=predictor.batch_size,
        item_bytes=item_bytes,
        flush=predicting.finish,
        reading=reader,
    )
    try:
        stages.run()
        products.finish()
    except BaseException:
        products.abort()
        if on_interrupted is not None:
            on_interrupted(products)
        raise
    found = tuple(reader.damage.sentences())
    return Outcome(
        targets=targets,
        frames=products.frames,
        predicted_frames=products.predicted_frames,
        lesion_frames=products.lesion_frames,
        seconds=time.perf_counter() - began,
        stages=stages.seconds,
        damage=found if reader.damage.found else (),
        warnings=(
            *products.warnings,
            *(() if reader.damage.found else found),
            *(() if redaction is None or not redaction.warning else (redaction.warning,)),
        ),
        refine=refiner.mode,
        refine_counts=refiner.counts,
        field_of_view=reader.crop,
        runtime=predictor.runtime,
        precision=predictor.half_precision or "fp32",
    )


def _open(
    targets: Targets, size: tuple[int, int], config: SegmentConfig, look: Callable[[], Beginning] | None
) -> VideoReader | SequenceReader:
    source, keep_planes = targets.source, bool(targets.overlays)
    picture_every = config.every if targets.frames is not None else None
    if not source.pictures:
        return VideoReader(
            source.path,
            start=config.start,
            end=config.end,
            rgb_size=size,
            keep_planes=keep_planes,
            picture_every=picture_every,
            look=look,
        )
    assert config.fps is not None, "pictures are joined to a sequence by their rate"
    return SequenceReader(
        source.path,
        source.pictures,
        config.fps,
        start=config.start,
        end=config.end,
        rgb_size=size,
        keep_planes=keep_planes,
        picture_every=picture_every,
    )


def _frame_bytes(info: VideoInfo, targets: Targets) -> int:
    """Return what a frame holds at full size: planes for the overlay, RGB for the folder of frames."""
    a_pixel = (1.5 if targets.overlays else 0) + (3 if targets.frames is not None else 0)
    return round(info.width * info.height * a_pixel)


class _Writing:
    """The writing stage: probability to mask at the frame's size, then the products."""

    def __init__(
        self,
        products: VideoProducts,
        reader: VideoReader | SequenceReader,
        config: SegmentConfig,
        on_progress: Callable[[Progress], None] | None,
        began: float,
    ) -> None:
        self._products, self._config, self._on_progress, self._began = products, config, on_progress, began
        self._size, self._view = reader.info.upright_size, reader.crop
        self._total = _expected_frames(reader, config)
        self._last: Segmentation | None = None

    def __call__(self, item: Passed) -> None:
        if item.refined is not None:
            self._last = self._segment(item.refined)
        assert self._last is not None, "the first frame is always predicted"
        self._products.write(item.frame, self._last, predicted=item.refined is not None)
        if self._on_progress is not None:
            seconds = time.perf_counter() - self._began
            self._on_progress(Progress(frames=self._products.frames, total=self._total, seconds=seconds))

    def _segment(self, refined: RefinedFrame) -> Segmentation:
        found = self._mask(refined.probability)
        raw = self._mask(refined.predicted.probability).mask if refined.refined else None
        return replace(found, raw_mask=raw, isolated=refined.flags)

    def _mask(self, probability: Probability) -> Segmentation:
        return segment(probability, self._size, self._config.mask, self._view)


def _numbered(reader: VideoReader | SequenceReader, every: int) -> Iterator[tuple[Frame, bool]]:
    """Yield each frame and whether it is to be predicted."""
    for number, frame in zip(count(), reader, strict=False):
        yield frame, number % every == 0


def _expected_frames(reader: VideoReader | SequenceReader, config: SegmentConfig) -> int | None:
    """Return about how many frames there will be, from the header."""
    info = reader.info
    if config.start is None and config.end is None:
        return info.estimated_frames
    if info.duration is None or not info.average_rate:
        return None
    length = min(config.end or info.duration, info.duration) - (config.start or 0)
    return max(round(length * info.average_rate), 0)
