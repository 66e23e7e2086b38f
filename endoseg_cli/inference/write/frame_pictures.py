"""Frames for annotation tools: their pictures beside the annotations, and the regions in them."""

from __future__ import annotations

import shutil
from pathlib import Path

from endoseg_cli.annotations.writing.regions import AnnotatedFrame, find_regions
from endoseg_cli.errors import OutputError
from endoseg_cli.inference.predict.masks import Segmentation
from endoseg_cli.inference.predict.predictor import Pixels
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.part_file import whole_file
from endoseg_cli.pictures.images import write_png

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


def write_frame(targets: Targets, index: int, picture: Pixels, folders: Folders) -> None:
    """Write a video's frame (H, W, 3) as PNG into the folder of frames; of a sequence, copy its picture as it is.

    Raises OutputError.
    """
    if targets.source.pictures:
        copy_picture(targets, index, folders)
        return
    path = _path_in_folder(targets, index, folders)
    write_png(path, picture, compression=PNG_COMPRESSION)


def copy_picture(targets: Targets, index: int, folders: Folders) -> None:
    """Copy a picture as it is into the folder of frames, unless it lies there already; raises OutputError."""
    source = targets.source.pictures[index] if targets.source.pictures else targets.source.path
    path = _path_in_folder(targets, index, folders)
    if path.exists() and path.samefile(source):
        return
    try:
        with source.open("rb") as original, whole_file(path, durable=False) as file:
            shutil.copyfileobj(original, file)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}", hint="check the free space") from error


def _path_in_folder(targets: Targets, index: int, folders: Folders) -> Path:
    assert targets.frames is not None, "frames are wanted"
    path = targets.frames / targets.frame_name(index)
    folders.make(path.parent)
    return path
