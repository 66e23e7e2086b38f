"""Find the frames that COCO and LabelMe files label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from endoseg_cli.annotations.reading.labels import PictureLabels
from endoseg_cli.annotations.reading.yolo import is_yolo, read_yolo
from endoseg_cli.data.labels.faults import Fault
from endoseg_cli.data.labels.folder_names import PlacedFile
from endoseg_cli.data.labels.mask_reader import YOLO_SUFFIX, LocatedLabels, locate_picture, read_annotations
from endoseg_cli.errors import EndosegError

Key = tuple[str, str]
"""Group and name of a frame."""


@dataclass(frozen=True, kw_only=True)
class AnnotatedPictures:
    """The pictures that an annotation file labels."""

    pictures: tuple[tuple[Key, Path], ...]
    """Group (the folder in the name that the file gives), name and path of each."""
    faults: tuple[Fault, ...]
    """Entries that cannot be understood, pictures that are not there."""
    notes: tuple[str, ...]
    """Which categories became one, and shapes outside their pictures."""


@dataclass(frozen=True, kw_only=True)
class FolderAnnotations:
    """The annotation files in a folder of pictures."""

    of_frames: tuple[tuple[Key, Path], ...]
    """The LabelMe and YOLO files, each with the frame that it labels."""
    others: tuple[Path, ...]
    """Files that label none, COCO files among them."""
    faults: tuple[Fault, ...]
    """LabelMe files without their picture, or that cannot be understood."""
    notes: tuple[str, ...]
    """COCO files, which have to be named themselves, and shapes outside their pictures."""


def annotated_pictures(file: Path) -> AnnotatedPictures:
    """Return the pictures that a COCO file, or the one that a LabelMe file labels; nothing is raised."""
    try:
        found = read_annotations(file)
    except EndosegError as error:
        fault = Fault(kind="unreadable", path=file, message=error.message)
        return AnnotatedPictures(pictures=(), faults=(fault,), notes=())
    if isinstance(found, PictureLabels):
        notes = _outside_note([(found.name, found.outside)])
        return _located(file, [(found.name, locate_picture(found.name, file))], faults=[], notes=notes)
    names = [picture.name for picture in found.labels.pictures]
    faults = [Fault(kind="entry", path=file, message=message) for message in found.labels.faults]
    notes = _categories_note(found) + _outside_note(
        [(picture.name, picture.outside) for picture in found.labels.pictures]
    )
    return _located(file, list(zip(names, found.paths, strict=True)), faults=faults, notes=notes)


def folder_annotations(
    files: Sequence[PlacedFile], images: Mapping[Key, Sequence[Path]], masks: Mapping[Key, Sequence[Path]]
) -> FolderAnnotations:
    """Sort the .json and .txt files of a folder whose images and mask pictures are known by group and name.

    A YOLO file labels the picture of its own name. A LabelMe file labels the picture of its own name, as LabelMe
    saves it, or else the one that it says.
    """
    keys = {path.resolve(): key for key, paths in images.items() for path in paths}
    of_frames: list[tuple[Key, Path]] = []
    others: list[Path] = []
    faults: list[Fault] = []
    notes: list[str] = []
    outside: list[tuple[str, int]] = []
    for placed in files:
        own, file = (placed.group, placed.stem), placed.path
        if file.suffix.lower() == YOLO_SUFFIX:
            if own in images and own not in masks and is_yolo(file):
                of_frames.append((own, file))
                outside.append((file.name, _outside_of_yolo(file)))
            else:
                others.append(file)
            continue
        try:
            found = read_annotations(file)
        except EndosegError as error:
            others.append(file)
            if own in images and own not in masks:  # else it may be about anything
                faults.append(Fault(kind="unreadable", path=file, message=error.message))
            continue
        if isinstance(found, LocatedLabels):
            others.append(file)
            notes.append(f"left out: the annotation file {file}; to take its masks, name it in place of its folder")
            continue
        picture = (file.parent / found.name).resolve()
        key = own if own in images else keys.get(picture)
        if key is None:
            message = f"expected the picture {found.name} of the LabelMe file {file}, found no such file"
            faults.append(Fault(kind="partner", path=file, message=message))
        else:
            of_frames.append((key, file))
            outside.append((file.name, found.outside))
    notes += _outside_note(outside)
    return FolderAnnotations(of_frames=tuple(of_frames), others=tuple(others), faults=tuple(faults), notes=tuple(notes))


def _located(
    file: Path, pictures: list[tuple[str, Path | None]], *, faults: list[Fault], notes: list[str]
) -> AnnotatedPictures:
    found: dict[Key, Path] = {}
    for name, path in pictures:
        pure = PurePosixPath(name)
        key = ("" if pure.is_absolute() else _group(pure), pure.stem)
        if path is None:
            message = (
                f"expected the picture {name} of {file}, found it neither beside the file nor in images/ there or above"
            )
            faults.append(Fault(kind="missing", path=file, message=message))
        elif key in found:
            message = f"expected one picture named {'/'.join(filter(None, key))} in {file}, found two"
            faults.append(Fault(kind="partner", path=file, message=message))
        else:
            found[key] = path
    if not pictures and not faults:
        faults.append(Fault(kind="missing", path=file, message=f"expected images, found none in {file}"))
    return AnnotatedPictures(pictures=tuple(sorted(found.items())), faults=tuple(faults), notes=tuple(notes))


def _group(name: PurePosixPath) -> str:
    """Return the folders in a picture's name, less a leading images/ and ways up."""
    return "/".join(part for part in name.parent.parts if part not in {"images", ".."})


def _outside_of_yolo(file: Path) -> int:
    """Count the outlines outside their picture; what cannot be understood is told when it is read as a mask."""
    try:
        return read_yolo(file, (1, 1)).outside
    except EndosegError:
        return 0


def _outside_note(pictures: Sequence[tuple[str, int]]) -> list[str]:
    """Tell of shapes outside their pictures, given as (name, how many shapes) of each picture."""
    found = [(name, count) for name, count in pictures if count]
    if not found:
        return []
    total = sum(count for _, count in found)
    shapes, count = ("1 shape lies", "counts") if total == 1 else (f"{total} shapes lie", "count")
    return [f"{shapes} wholly outside the picture and {count} nothing, the first one in {found[0][0]}"]


def _categories_note(found: LocatedLabels) -> list[str]:
    names = found.labels.foreground
    if len(names) < 2:
        return []
    return [f"the categories of {found.labels.path} count as one lesion: {', '.join(names)}"]
