"""Frames for annotation tools: their pictures beside the annotations, and the regions in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from endoseg_cli.annotations.writing.regions import AnnotatedFrame, find_regions
from endoseg_cli.errors import OutputError
from endoseg_cli.inference.predict.masks import Segmentation
from endoseg_cli.inference.predict.predictor import Pixels
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.pictures.copies import copy_picture_file, write_picture_like
from endoseg_cli.pictures.images import write_png
from endoseg_cli.pictures.redaction import Redaction

PNG_COMPRESSION = 1
"""zlib level: frames of endoscopy hardly shrink further at higher ones, which take several times as long."""


def annotated_frame(targets: Targets, index: int, segmentation: Segmentation) -> AnnotatedFrame:
    """Return what annotation files say of one frame of an input; 0 is the index of a picture."""
    return AnnotatedFrame(
        name=targets.frame_name(index),
        picture=targets.frame_picture(index),
        size=(segmentation.mask.shape[1], segmentation.mask.shape[2]),
        regions=find_regions(segmentation.mask, segmentation.probability),
    )


class Folders:
    """Makes each folder once, so that one which is removed while its pictures are written is missed, not made again."""

    def __init__(self) -> None:
        self._made: set[Path] = set()

    def make(self, folder: Path) -> None:
        """Make a folder unless that was done before; raises OutputError."""
        if folder in self._made:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder}: {error.strerror}", hint="choose another") from error
        self._made.add(folder)


@dataclass(frozen=True, kw_only=True)
class FrameCopies:
    """How frames are written that others will see."""

    folders: Folders
    """Makes their folders."""
    keep_metadata: bool = False
    """Copy pictures with all that they say beside their pixels."""
    redaction: Redaction | None = None
    """What of them is blanked."""

    def write(self, targets: Targets, index: int, picture: Pixels) -> None:
        """Write a frame (H, W, 3) of an input into the folder of frames; raises InputError or OutputError.

        A frame of a video becomes a PNG; a picture is copied, unless it lies there already, or, where something is
        blanked, written anew in its format.
        """
        assert targets.frames is not None, "frames are wanted"
        path = targets.frames / targets.frame_name(index)
        self.folders.make(path.parent)
        is_picture = targets.source.is_picture or bool(targets.source.pictures)
        if self.redaction is not None:
            picture = self.redaction.blanked(picture)
        if not is_picture:
            write_png(path, picture, compression=PNG_COMPRESSION)
        elif self.redaction is not None:
            write_picture_like(path, picture)
        else:
            source = targets.source.pictures[index] if targets.source.pictures else targets.source.path
            if not (path.exists() and path.samefile(source)):
                copy_picture_file(source, path, keep_metadata=self.keep_metadata)
