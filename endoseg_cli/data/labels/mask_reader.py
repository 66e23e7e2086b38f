"""Read the mask of a labelled frame, be it a picture or what a COCO or LabelMe file says of the frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.annotations.reading.coco import parse_coco
from endoseg_cli.annotations.reading.cvat import read_cvat
from endoseg_cli.annotations.reading.labelme import is_labelme, parse_labelme
from endoseg_cli.annotations.reading.labels import FileLabels, PictureLabels, load_json
from endoseg_cli.annotations.reading.yolo import read_yolo
from endoseg_cli.errors import EndosegError, InputError, MissingInputError
from endoseg_cli.pictures.images import read_image, read_mask

ANNOTATION_SUFFIXES = frozenset({".json", ".xml"})
"""COCO and LabelMe, and CVAT."""
YOLO_SUFFIX = ".txt"
FRAME_LABEL_SUFFIXES = frozenset({".json", YOLO_SUFFIX})
"""Files that may label the picture beside them."""
KEPT_ANSWERS = 100_000
"""How many frames it is remembered of whether they show a lesion."""
KEPT_FILES = 8
"""How many annotation files are kept in memory: a COCO file is read once, not once for each of its frames."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LocatedLabels:
    """A COCO file and where its pictures lie."""

    labels: FileLabels
    """What the file says."""
    paths: tuple[Path | None, ...]
    """The picture of each of `labels.pictures`; None where there is no such file."""
    of_picture: dict[Path, PictureLabels]
    """The same by resolved path."""


def is_annotation_file(path: Path) -> bool:
    """True if the file's name ends like a COCO, LabelMe or CVAT file's."""
    return path.suffix.lower() in ANNOTATION_SUFFIXES


def read_label(image: Path, mask: Path) -> NDArray[np.bool_]:
    """Return the mask (H, W) of `image` that the file `mask` holds: a picture, or what an annotation tool wrote.

    Of annotations, the union of all shapes counts, whatever their label (but background). Raises MissingInputError, or
    InputError naming the file for what cannot be read or understood.
    """
    if mask.suffix.lower() == YOLO_SUFFIX:
        height, width = read_image(image).shape[:2]  # YOLO counts in shares of the picture
        return read_yolo(mask, (height, width)).mask()
    if not is_annotation_file(mask):
        return read_mask(mask)
    found = read_annotations(mask)
    labels = found if isinstance(found, PictureLabels) else found.of_picture.get(image.resolve())
    if labels is None:
        raise InputError(f"expected {image} among the images of {mask}, found it not there")
    return labels.mask()


@lru_cache(maxsize=KEPT_ANSWERS)
def shows_lesion(image: Path, mask: Path) -> bool:
    """Return whether a frame's mask can be read and holds foreground."""
    try:
        return bool(read_label(image, mask).any())
    except EndosegError:
        return False


def read_annotations(path: Path) -> LocatedLabels | PictureLabels:
    """Read a COCO or CVAT file, or the LabelMe file of one picture; raises MissingInputError or InputError."""
    try:
        facts = path.stat()
    except OSError as error:
        raise MissingInputError(f"no such annotation file: {path}") from error
    return _read(path, facts.st_mtime_ns, facts.st_size)


def locate_picture(name: str, file: Path) -> Path | None:
    """Return the picture that an annotation file names: beside it or in images/ there, or so in the folder above.

    Also in the folder there that the file is called after, as in CVAT's images/default beside instances_default.json
    and MS COCO's train2017. Folders in the name that are not there are left out from the front, as tools write where
    they themselves keep a picture. Nothing outside these folders is taken.
    """
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..", ".")]
    if any(":" in part for part in parts[:1]):  # the drive of another machine
        parts = parts[1:]
    subset = file.stem.rpartition("_")[2]
    bases = [base / below for base in (file.parent, file.parent.parent) for below in ("", "images")]
    bases += [base / subset for base in bases]
    for first in range(len(parts)):
        for base in bases:
            path = base.joinpath(*parts[first:])
            if is_file(path):
                return path
    return None


def is_file(path: Path) -> bool:
    """Return whether there is such a file; False for what no file can be called."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


@lru_cache(maxsize=KEPT_FILES)
def _read(path: Path, modified: int, size: int) -> LocatedLabels | PictureLabels:
    """Read a file once, until its time or its size changes."""
    if path.suffix.lower() == ".xml":
        return _located(read_cvat(path), path)
    content = load_json(path)
    return parse_labelme(content, path) if is_labelme(content) else _located(parse_coco(content, path), path)


def _located(labels: FileLabels, path: Path) -> LocatedLabels:
    paths = tuple(locate_picture(picture.name, path) for picture in labels.pictures)
    of_picture = {
        found.resolve(): picture for found, picture in zip(paths, labels.pictures, strict=True) if found is not None
    }
    return LocatedLabels(labels=labels, paths=paths, of_picture=of_picture)
