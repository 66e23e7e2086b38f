"""Write what was asked for of one video, frame by frame, or of one picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.annotations.writing.writer import AnnotationWriter
from endoseg_cli.inference.inputs.addresses import called
from endoseg_cli.inference.inputs.sources import Source
from endoseg_cli.inference.predict.masks import Segmentation
from endoseg_cli.inference.predict.predictor import Pixels
from endoseg_cli.inference.write.frame_pictures import Folders, FrameCopies, annotated_frame
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.inference.write.overlay import OverlayConfig, tint_planes, tint_rgb
from endoseg_cli.inference.write.records import FrameRecord, RecordsSink, frame_records
from endoseg_cli.pages.segmented import SegmentedPage
from endoseg_cli.pages.timeline import FrameFacts
from endoseg_cli.pictures.images import write_png
from endoseg_cli.pictures.redaction import Redaction
from endoseg_cli.video.geometry.blanking import BlankPart
from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.reading.reader import Frame
from endoseg_cli.video.writing.writer import MaskWriter, OverlayWriter

PngPixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.bool_]
PNG_COMPRESSION = 1
"""zlib level of the PNG files: masks are small at any level, and this one is the fastest."""


@dataclass(frozen=True, kw_only=True)
class ProductStyle:
    """How products look, whatever the input."""

    class_names: tuple[str, ...]
    """The model's classes; with more than one, pictures go into a folder per class."""
    overlay: OverlayConfig
    """Tint and outline."""
    model: str = ""
    """The model's name, as pages show it."""
    half_precision: str = ""
    """bf16 or fp16 where the networks compute in it, for the table; else empty."""
    gpu: str = ""
    """The name of the GPU that may encode overlays; empty without one."""
    keep_metadata: bool = False
    """Copy what inputs say beside their pictures (title, date, place)."""
    whole_paths: bool = False
    """Name inputs in tables by their paths as they were given, not by the least that tells them apart."""

    def shown(self, source: Source) -> str:
        """Return what tables call an input."""
        return called(source.path) if self.whole_paths else source.name


class VideoProducts:
    """The products of one video; made in one thread, then used by one other.

    The mask video shows any class. On an error or interruption `abort` leaves playable `.part` files. Raises
    OutputError where nothing can be written.
    """

    def __init__(
        self,
        targets: Targets,
        info: VideoInfo,
        style: ProductStyle,
        records: RecordsSink | None,
        *,
        overwrite: bool,
        audio_span: tuple[float | None, float | None] = (None, None),
        annotations: AnnotationWriter | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        """`redaction` is what is blanked in every picture of the video; its sound, which may name people, is left out.

        `audio_span` and the rest are as in `OverlayWriter`.
        """
        self._targets, self._info, self._style, self._records = targets, info, style, records
        self._annotations = annotations
        self._pictures = 0
        self._folders = Folders()
        self._blank = None if redaction is None else BlankPart(redaction.hidden, info.rotation)
        self._copies = FrameCopies(folders=self._folders, keep_metadata=style.keep_metadata, redaction=redaction)
        self.frames = 0
        """Frames written so far."""
        self.predicted_frames = 0
        self.lesion_frames = 0
        """How many of them have a mask that is not empty."""
        self._masks: MaskWriter | None = None
        self._overlays: list[OverlayWriter] = []
        self._page: SegmentedPage | None = None
        try:
            if targets.masks is not None:
                self._masks = MaskWriter(
                    targets.masks,
                    info,
                    overwrite=overwrite,
                    origin_pts=info.first_pts,
                    keep_metadata=style.keep_metadata,
                )
            for path in targets.overlays:
                self._overlays.append(
                    OverlayWriter(
                        path,
                        info,
                        overwrite=overwrite,
                        audio=redaction is None,
                        audio_span=audio_span,
                        origin_pts=info.first_pts,
                        keep_metadata=style.keep_metadata,
                        gpu=style.gpu,
                    )
                )
        except BaseException:
            self.abort()
            raise
        if targets.report is not None and targets.page_video is not None:
            self._page = SegmentedPage(targets.report, info, model=style.model, video=targets.page_video)

    def write(self, frame: Frame, segmentation: Segmentation, *, predicted: bool) -> None:
        """Write one frame: videos get every frame, pictures and records those that were `predicted`."""
        union = segmentation.any_class
        if self._masks is not None:
            self._masks.write(union.view(np.uint8) * np.uint8(255), frame.pts, frame.duration)
        if self._overlays:
            assert frame.planes is not None, "the reader keeps planes when an overlay is wanted"
            planes = tint_planes(frame.planes, segmentation.mask, self._info.rotation, self._style.overlay)
            if self._blank is not None:
                self._blank.blank(planes)
            for overlay in self._overlays:
                overlay.write(planes, frame.pts, frame.duration)
        if predicted:
            self._write_pictures(frame, segmentation)
        self.frames += 1
        self.predicted_frames += predicted
        self.lesion_frames += predicted and bool(union.any())

    def finish(self) -> None:
        """Give all files their final names; either all of them or, on an error, as many as could be completed."""
        for writer in self._writers:
            writer.finish()
        if self._page is not None:
            self._page.finish()

    def abort(self) -> None:
        """Close all files so that they play up to here, and leave them as `.part` files."""
        for writer in self._writers:
            writer.abort()

    @property
    def parts(self) -> list[Path]:
        """The part files that an interruption left behind."""
        return [writer.part for writer in self._writers if writer.part.exists()]

    @property
    def warnings(self) -> list[str]:
        """What the outputs lack compared to the input; complete after `finish` or `abort`."""
        found = [f"{writer.path}: {warning}" for writer in self._writers for warning in writer.warnings]
        if any(writer.padded for writer in self._writers):
            width, height = self._info.width, self._info.height
            found.append(
                f"H.264 needs even sides: the {width}x{height} frames got a row or column more; .mkv masks do not"
            )
        return found + self._older_pictures() + ([] if self._page is None else self._page.warnings)

    @property
    def _writers(self) -> list[MaskWriter | OverlayWriter]:
        return [*([] if self._masks is None else [self._masks]), *self._overlays]

    def _older_pictures(self) -> list[str]:
        """Return a warning for each folder with more pictures than were written, as `--overwrite` may leave them."""
        names = self._style.class_names
        places = [place for place in (self._targets.mask_pictures, self._targets.probabilities) if place is not None]
        found = []
        for folder in [place / name for place in places for name in names] if len(names) > 1 else places:
            older = sum(1 for _ in folder.glob("*.png")) - self._pictures
            if older > 0:
                found.append(f"{folder} holds {older} more PNG from before, of frames that were not written now")
        return found

    def _write_pictures(self, frame: Frame, segmentation: Segmentation) -> None:
        name = self._targets.picture_name(frame.index)
        self._pictures += 1
        if self._targets.mask_pictures is not None:
            write_masks(self._targets.mask_pictures / name, segmentation, self._style.class_names, self._folders)
        if self._targets.probabilities is not None:
            write_probabilities(
                self._targets.probabilities / name, segmentation, self._style.class_names, self._folders
            )
        if self._targets.frames is not None:
            assert frame.picture is not None, "the reader keeps pictures when frames are wanted"
            self._copies.write(self._targets, frame.index, frame.picture)
        if self._annotations is not None:
            self._annotations.write(annotated_frame(self._targets, frame.index, segmentation))
        if self._records is not None or self._page is not None:
            self._note(
                frame,
                segmentation,
                frame_records(
                    segmentation,
                    self._style.class_names,
                    source=self._style.shown(self._targets.source),
                    frame=frame.index,
                    time=frame.time,
                    flags=" ".join(filter(None, ("damaged" if frame.damaged else "", self._style.half_precision))),
                ),
            )

    def _note(self, frame: Frame, segmentation: Segmentation, records: list[FrameRecord]) -> None:
        if self._records is not None:
            self._records.write(records)
        if self._page is not None:
            assert frame.planes is not None, "the reader keeps planes when a page is wanted"
            self._page.add(_facts(frame.time, segmentation, records), frame.planes)


def _facts(time: float, segmentation: Segmentation, records: list[FrameRecord]) -> FrameFacts:
    """Return what a page shows of a frame, all classes taken together."""
    pixels = sum(record.foreground_pixels for record in records)
    total = sum(record.foreground_pixels * (record.mean_confidence or 0.0) for record in records)
    flag = next((flag for flag in segmentation.isolated if flag is not None), None)
    return FrameFacts(
        time=time,
        area=float(segmentation.any_class.mean()),
        confidence=total / pixels if pixels else math.nan,
        uncertainty=sum(record.mean_uncertainty for record in records) / len(records),
        isolated=flag,
    )


def write_picture_products(
    targets: Targets,
    image: Pixels,
    segmentation: Segmentation,
    style: ProductStyle,
    records: RecordsSink | None,
    annotations: AnnotationWriter | None = None,
    redaction: Redaction | None = None,
) -> None:
    """Write the products of one picture (H, W, 3), parts of it blanked where it is shown itself."""
    folders = Folders()
    if targets.masks is not None:
        _write(targets.masks, segmentation.any_class, folders)
    if targets.overlay is not None:
        marked = tint_rgb(image, segmentation.mask, style.overlay)
        _write(targets.overlay, marked if redaction is None else redaction.blanked(marked), folders)
    if targets.mask_pictures is not None:
        write_masks(targets.mask_pictures, segmentation, style.class_names, folders)
    if targets.probabilities is not None:
        write_probabilities(targets.probabilities, segmentation, style.class_names, folders)
    if targets.frames is not None:
        copies = FrameCopies(folders=folders, keep_metadata=style.keep_metadata, redaction=redaction)
        copies.write(targets, 0, image)
    if annotations is not None:
        annotations.write(annotated_frame(targets, 0, segmentation))
    if records is not None:
        source = style.shown(targets.source)
        records.write(
            frame_records(
                segmentation, style.class_names, source=source, frame=0, time=None, flags=style.half_precision
            )
        )


def write_masks(path: Path, segmentation: Segmentation, class_names: tuple[str, ...], folders: Folders) -> None:
    """Write masks as 0/255 PNG: to `path`, or of several classes into a folder per class beside it."""
    _write_classes(path, class_names, lambda index: segmentation.mask[index], folders)


def write_probabilities(path: Path, segmentation: Segmentation, class_names: tuple[str, ...], folders: Folders) -> None:
    """Write probabilities as 16-bit PNG, 65535 = 1: to `path`, or of several classes into a folder per class."""
    _write_classes(
        path, class_names, lambda index: np.rint(segmentation.probability[index] * 65535).astype(np.uint16), folders
    )


def _write_classes(
    path: Path, class_names: tuple[str, ...], pixels: Callable[[int], PngPixels], folders: Folders
) -> None:
    for index, name in enumerate(class_names):
        _write(path if len(class_names) == 1 else path.parent / name / path.name, pixels(index), folders)


def _write(path: Path, pixels: PngPixels, folders: Folders) -> None:
    folders.make(path.parent)
    write_png(path, pixels, compression=PNG_COMPRESSION)
