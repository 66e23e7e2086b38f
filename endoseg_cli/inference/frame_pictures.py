"""Frames for annotation tools: their pictures beside the annotations, and the regions in them."""

from __future__ import annotations

import shutil
from pathlib import Path

from endoseg_cli.annotations.regions import AnnotatedFrame, find_regions
from endoseg_cli.data.images import write_png
from endoseg_cli.errors import OutputError
from endoseg_cli.inference.masks import Segmentation
from endoseg_cli.inference.outputs import Targets
from endoseg_cli.inference.predictor import Pixels

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


def write_frame(targets: Targets, index: int, picture: Pixels) -> None:
    """Write a video's frame (H, W, 3) as PNG into the folder of frames; of a sequence, copy its picture as it is.

    Raises OutputError.
    """
    if targets.source.pictures:
        copy_picture(targets, index)
        return
    path = _path_in_folder(targets, index)
    write_png(path, picture, compression=PNG_COMPRESSION)


def copy_picture(targets: Targets, index: int = 0) -> None:
    """Copy a picture as it is into the folder of frames, unless it lies there already; raises OutputError."""
    source = targets.source.pictures[index] if targets.source.pictures else targets.source.path
    path = _path_in_folder(targets, index)
    if path.exists() and path.samefile(source):
        return
    part = path.with_name(path.name + ".part")
    try:
        shutil.copyfile(source, part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}", hint="check the free space") from error


def _path_in_folder(targets: Targets, index: int) -> Path:
    assert targets.frames is not None, "frames are wanted"
    path = targets.frames / targets.frame_name(index)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path.parent}: {error.strerror}", hint="choose another") from error
    return path
