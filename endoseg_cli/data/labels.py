"""Read the mask of a labelled frame, be it a picture or what a COCO or LabelMe file says of the frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.annotations.coco_labels import CocoLabels, parse_coco
from endoseg_cli.annotations.labelme_labels import is_labelme, parse_labelme
from endoseg_cli.annotations.labels import PictureLabels, load_json
from endoseg_cli.data.images import read_mask
from endoseg_cli.errors import InputError, MissingInputError

ANNOTATION_SUFFIX = ".json"
KEPT_FILES = 8
"""How many annotation files are kept in memory: a COCO file is read once, not once for each of its frames."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LocatedCoco:
    """A COCO file and where its pictures lie."""

    labels: CocoLabels
    """What the file says."""
    paths: tuple[Path | None, ...]
    """The picture of each of `labels.pictures`; None where there is no such file."""
    of_picture: dict[Path, PictureLabels]
    """The same by resolved path."""


def is_annotation_file(path: Path) -> bool:
    """True if the file's name ends like a COCO or LabelMe file's."""
    return path.suffix.lower() == ANNOTATION_SUFFIX


def read_label(image: Path, mask: Path) -> NDArray[np.bool_]:
    """Return the mask (H, W) of `image` that the file `mask` holds: a picture, or a COCO or LabelMe file.

    Of annotations, the union of all shapes counts, whatever their label (but background). Raises MissingInputError, or
    InputError naming the file for what cannot be read or understood.
    """
    if not is_annotation_file(mask):
        return read_mask(mask)
    found = read_annotations(mask)
    labels = found if isinstance(found, PictureLabels) else found.of_picture.get(image.resolve())
    if labels is None:
        raise InputError(f"expected {image} among the images of {mask}, found it not there")
    return labels.mask()


def read_annotations(path: Path) -> LocatedCoco | PictureLabels:
    """Read a COCO file, or the LabelMe file of one picture; raises MissingInputError or InputError."""
    try:
        facts = path.stat()
    except OSError as error:
        raise MissingInputError(f"no such annotation file: {path}") from error
    return _read(path, facts.st_mtime_ns, facts.st_size)


def locate_picture(name: str, file: Path) -> Path | None:
    """Return the picture that an annotation file names: beside it or in images/ there, or so in the folder above."""
    for base in (file.parent, file.parent / "images", file.parent.parent, file.parent.parent / "images"):
        if (base / name).is_file():
            return base / name
    return None


@lru_cache(maxsize=KEPT_FILES)
def _read(path: Path, modified: int, size: int) -> LocatedCoco | PictureLabels:
    """Read a file once, until its time or its size changes."""
    content = load_json(path)
    if is_labelme(content):
        return parse_labelme(content, path)
    labels = parse_coco(content, path)
    paths = tuple(locate_picture(picture.name, path) for picture in labels.pictures)
    of_picture = {
        found.resolve(): picture for found, picture in zip(paths, labels.pictures, strict=True) if found is not None
    }
    return LocatedCoco(labels=labels, paths=paths, of_picture=of_picture)
