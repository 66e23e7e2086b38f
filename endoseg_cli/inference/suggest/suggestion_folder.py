"""The folder of suggested frames: pictures, masks to correct, the same as COCO, and a table of why."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from endoseg_cli.annotations.writing.coco import CocoWriter
from endoseg_cli.annotations.writing.regions import AnnotatedFrame, find_regions
from endoseg_cli.data.clips.redaction import redaction_of
from endoseg_cli.errors import EndosegError, OutputError
from endoseg_cli.inference.predict.masks import MaskConfig, segment
from endoseg_cli.inference.predict.predictor import Pixels
from endoseg_cli.inference.suggest.frame_scores import FrameScorer
from endoseg_cli.part_file import write_whole
from endoseg_cli.pictures.copies import copy_picture_file, write_picture_like
from endoseg_cli.pictures.images import read_image, write_png
from endoseg_cli.pictures.redaction import NOTHING, RedactConfig, Redaction
from endoseg_cli.video.reading.reader import sample_frames

IMAGES, MASKS, ANNOTATIONS, TABLE = "images", "masks", "annotations.json", "suggestions.csv"
COLUMNS = ("rank", "image", "source", "frame", "seconds", "score", "uncertainty", "disagreement", "novelty")


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A frame to label, and why."""

    file: Path
    """The video or picture it is from."""
    source: str
    """What the table calls that."""
    group: str
    """The folder or video that it belongs to, and its folder below images/ and masks/."""
    frame: int | None
    """Its index in the video, from 0; None for a picture."""
    seconds: float | None
    """When the video shows it; None for a picture."""
    score: float
    """Its mean rank by uncertainty and disagreement, from 0 to 1."""
    uncertainty: float
    """See FrameScore."""
    disagreement: float | None
    """See FrameScore; None with one network."""
    novelty: float
    """See Choice."""

    @property
    def name(self) -> PurePosixPath:
        """What its picture is called below images/."""
        stem = self.file.stem if self.frame is None else f"{self.file.stem}_{self.frame:06d}"
        suffix = self.file.suffix if self.frame is None else ".png"
        return PurePosixPath(self.group) / f"{stem}{suffix}"


@dataclass(frozen=True, kw_only=True)
class SuggestionStyle:
    """How suggested frames are written."""

    mask: MaskConfig
    """How probabilities become the masks to correct."""
    frames_per_second: float
    """How densely videos were sampled."""
    redact: RedactConfig = NOTHING
    """What is blanked in the pictures."""
    keep_metadata: bool = False
    """Copy pictures with their EXIF and the like."""


def check_folder(folder: Path) -> None:
    """Raise OutputError unless the folder is new or empty: it may hold masks that someone corrected by hand."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(
            f"{folder} exists already",
            hint="choose a new folder; nothing here replaces masks that someone may have corrected",
        )


def write_suggestions(
    folder: Path, chosen: Sequence[Suggestion], scorer: FrameScorer, style: SuggestionStyle
) -> list[str]:
    """Write everything beside `folder` and rename it when it is whole; raises OutputError.

    Videos are read again, so that no frame had to be kept. Returns what is to be known of the blanked parts.
    """
    names = _names(chosen)
    warnings: list[str] = []
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            part.chmod(_allowed_mode())
            frames = dict[int, AnnotatedFrame]()
            with CocoWriter(part / ANNOTATIONS, scorer.card.class_names) as coco:
                for place, picture, redaction in _pictures(chosen, style):
                    frames[place] = _write_frame(part, chosen[place], names[place], picture, redaction, scorer, style)
                    if redaction is not None and redaction.warning:
                        warnings.append(f"{chosen[place].source}: {redaction.warning}")
                for place in range(len(chosen)):
                    coco.write(frames[place])
            write_whole(part / TABLE, _table(chosen, names))
            if folder.is_dir():
                folder.rmdir()  # it was empty
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        if isinstance(error, EndosegError):
            raise
        raise OutputError(f"cannot write {folder}: {error.strerror}", hint="choose another folder") from error
    return list(dict.fromkeys(warnings))


def _allowed_mode() -> int:
    """Return the mode of a new folder under the user's umask; that of mkdtemp is for its maker alone."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o777 & ~mask


def _names(chosen: Sequence[Suggestion]) -> list[PurePosixPath]:
    """Return the pictures' names; a second picture of the same folder and stem gets a number."""
    taken: set[PurePosixPath] = set()
    names = []
    for suggestion in chosen:
        name, number = suggestion.name, 2
        while name.with_suffix("") in taken:
            name, number = suggestion.name.with_stem(f"{suggestion.name.stem}_{number}"), number + 1
        taken.add(name.with_suffix(""))
        names.append(name)
    return names


def _pictures(chosen: Sequence[Suggestion], style: SuggestionStyle) -> Iterator[tuple[int, Pixels, Redaction | None]]:
    """Yield the place of each chosen frame, its picture, and what of it is blanked, each video being read once."""
    redact = style.redact
    wanted: dict[Path, dict[int, int]] = {}
    for place, suggestion in enumerate(chosen):
        if suggestion.frame is None:
            picture = read_image(suggestion.file)
            yield place, picture, redact.of_picture(picture, suggestion.file) if redact else None
        else:
            wanted.setdefault(suggestion.file, {})[suggestion.frame] = place
    for file, places in wanted.items():
        left = len(places)
        redaction = redaction_of(file, redact) if redact else None
        for index, _, picture in sample_frames(file, style.frames_per_second):
            if index in places:
                yield places[index], picture, redaction
                left -= 1
            if not left:
                break


def _write_frame(
    folder: Path,
    suggestion: Suggestion,
    name: PurePosixPath,
    picture: Pixels,
    redaction: Redaction | None,
    scorer: FrameScorer,
    style: SuggestionStyle,
) -> AnnotatedFrame:
    small, view = scorer.shrink(picture)
    (score,) = scorer.score([small])
    size = (picture.shape[0], picture.shape[1])
    segmentation = segment(score.probability, size, style.mask, view)
    image, mask = folder / IMAGES / name, folder / MASKS / name.with_suffix(".png")
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    shown = picture if redaction is None else redaction.blanked(picture)
    if suggestion.frame is not None:
        write_png(image, shown)
    elif redaction is not None:
        write_picture_like(image, shown)
    else:
        copy_picture_file(suggestion.file, image, keep_metadata=style.keep_metadata)
    write_png(mask, segmentation.any_class)
    regions = find_regions(segmentation.mask, segmentation.probability)
    return AnnotatedFrame(name=name, picture=image, size=size, regions=regions)


def _table(chosen: Sequence[Suggestion], names: Sequence[PurePosixPath]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rank, (one, name) in enumerate(zip(chosen, names, strict=True), start=1):
        numbers = (one.score, one.uncertainty, one.disagreement, one.novelty)
        shown = ["" if number is None else f"{number:.4f}" for number in numbers]
        frame = "" if one.frame is None else str(one.frame)
        seconds = "" if one.seconds is None else f"{one.seconds:.3f}"
        writer.writerow([rank, name.as_posix(), one.source, frame, seconds, *shown])
    return text.getvalue()
