"""Segment still pictures in batches: reading, predicting and writing go on at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from endoseg_cli.annotations.writing.writer import AnnotationWriter
from endoseg_cli.inference.flow.stages import Stages, StageSeconds
from endoseg_cli.inference.inputs.views import redaction_of_picture, view_of_picture
from endoseg_cli.inference.pipeline import Outcome, SegmentConfig
from endoseg_cli.inference.predict.masks import segment
from endoseg_cli.inference.predict.predictor import Pixels, Predictor, Probability
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.inference.write.products import ProductStyle, write_picture_products
from endoseg_cli.inference.write.records import RecordsSink
from endoseg_cli.pictures.field_of_view import FieldOfView
from endoseg_cli.pictures.images import read_image
from endoseg_cli.pictures.redaction import Redaction
from endoseg_cli.pictures.resize import resize_frame


@dataclass(kw_only=True, eq=False)
class _Still:
    """A picture on its way; after an error only that and the targets count."""

    targets: Targets
    image: Pixels | None = None
    view: FieldOfView | None = None
    redaction: Redaction | None = None
    small: Pixels | None = None
    probability: Probability | None = None
    error: Exception | None = None


def segment_pictures(
    targets: Sequence[Targets],
    predictor: Predictor,
    style: ProductStyle,
    config: SegmentConfig,
    records: RecordsSink | None = None,
    annotations: AnnotationWriter | None = None,
    *,
    on_done: Callable[[Outcome], None],
    on_failed: Callable[[Targets, Exception], None],
) -> StageSeconds:
    """Segment still pictures; each is told to `on_done` or `on_failed` in order, in the writing thread.

    A picture that cannot be read or written does not stop the others; what the device or a bug raises does. Each
    outcome's seconds are those since the one before it. Returns how long each stage was busy.
    """
    view = config.view(predictor)
    last = time.perf_counter()

    def read() -> Iterator[_Still]:
        for target in targets:
            still = _Still(targets=target)
            try:
                still.image = read_image(target.source.path)
                still.view = view_of_picture(view, still.image, target.source.path)
                still.redaction = redaction_of_picture(
                    config.redact, config.field_of_view, still.image, target.source.path
                )
                seen = still.image if still.view is None else still.view.crop(still.image)
                still.small = resize_frame(seen, predictor.input_size)
            except Exception as error:
                still.error = error
            yield still

    def predict(batch: Sequence[_Still]) -> Sequence[_Still]:
        pictures = [still.small for still in batch if still.small is not None]
        maps = iter(predictor.predict(pictures) if pictures else ())
        for still in batch:
            if still.small is not None:
                still.probability = next(maps)
        return batch

    def write(still: _Still) -> None:
        nonlocal last
        lesion = False
        if still.error is None:
            assert still.image is not None and still.probability is not None
            segmentation = segment(still.probability, still.image.shape[:2], config.mask, still.view)
            lesion = bool(segmentation.mask.any())
            try:
                write_picture_products(
                    still.targets, still.image, segmentation, style, records, annotations, still.redaction
                )
            except Exception as error:
                still.error = error
        if still.error is not None:
            on_failed(still.targets, still.error)
            return
        began, last = last, time.perf_counter()
        on_done(
            Outcome(
                targets=still.targets,
                frames=1,
                predicted_frames=1,
                lesion_frames=int(lesion),
                seconds=last - began,
                stages=StageSeconds(),
                damage=(),
                warnings=(still.redaction.warning,) if still.redaction and still.redaction.warning else (),
                field_of_view=still.view,
                runtime=predictor.runtime,
                precision=predictor.half_precision or "fp32",
            )
        )

    stages = Stages(read(), predict, write, batch_size=predictor.batch_size)
    stages.run()
    return stages.seconds


def segment_picture(
    targets: Targets,
    predictor: Predictor,
    style: ProductStyle,
    config: SegmentConfig,
    records: RecordsSink | None = None,
    annotations: AnnotationWriter | None = None,
) -> Outcome:
    """Segment one still picture; raises what is wrong with it."""
    outcomes: list[Outcome] = []

    def fail(_: Targets, error: Exception) -> None:
        raise error

    stages = segment_pictures(
        [targets], predictor, style, config, records, annotations, on_done=outcomes.append, on_failed=fail
    )
    return replace(outcomes[0], stages=stages)
