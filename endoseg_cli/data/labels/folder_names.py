"""What the names of folders and files say: image or mask, of which frame, of which patient or video."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from endoseg_cli.errors import InputError

IMAGE_FOLDERS = frozenset(
    "image images img imgs frame frames original originals jpegimages imagestr imagests leftframes".split()
)
MASK_FOLDERS = frozenset(
    "mask masks gt gts label labels labelstr labelsts annotation annotations groundtruth groundtruths "
    "segmentation segmentations segmentationclass segmentationobject".split()
)
"""Names of folders in small letters, without spaces, dashes and underscores."""
CASE_FOLDERS = frozenset({"imagestr", "imagests"})
"""Folders of nnU-Net, in which a picture is called like its label and a number of its channel."""
CHANNEL = re.compile(r"_\d{4}$")
MASK_SUFFIX = re.compile(r"[_-](mask|masks|gt|label|seg|segmentation|groundtruth|ground_truth)$", re.IGNORECASE)
NUMBERED_FOLDER = re.compile(r"^(image|images|img|imgs|mask|masks|gt|label|labels)[_-](.+)$", re.IGNORECASE)
"""A folder such as images_C1 beside masks_C1: an image folder, and C1 is part of the group."""


@dataclass(frozen=True, kw_only=True)
class PlacedFile:
    """A file of a data set and what its place says about it."""

    path: Path
    """The file."""
    role: Literal["image", "mask", "unknown"]
    """What its folder says that it is; unknown outside image and mask folders."""
    group: str
    """The patient or video: the folders between root and file, less the image or mask folder; '' if there are none."""
    stem: str
    """The file's name without its ending."""


def place(path: Path, root: Path) -> PlacedFile:
    """Say what the place of a file below `root` tells about it.

    root/images/patient1/a.png, root/patient1/images/a.png and root/images_patient1/a.png all are an image of
    the group patient1, and root/patient1_gt/a.png is a mask of it if there is a folder root/patient1. Names are
    compared in one Unicode form, as macOS writes another one than Linux and Windows.
    """
    folders = [_one_form(part) for part in path.relative_to(root).parts[:-1]]
    stem = _one_form(path.stem)
    role: Literal["image", "mask", "unknown"] = "unknown"
    for position in reversed(range(len(folders))):
        if (found := _role_of_folder(folders[position])) != "unknown":
            role = found
            if plain_folder_name(folders[position]) in CASE_FOLDERS:
                stem = CHANNEL.sub("", stem)
            del folders[position]
            break
    else:
        for position in reversed(range(len(folders))):
            if match := NUMBERED_FOLDER.match(folders[position]):
                role = _role_of_folder(match[1])
                folders[position] = match[2]
                break
        else:
            if _is_beside_frames(path, root):
                role = "mask"
                folders = [strip_mask_suffix(folder) for folder in folders]
    return PlacedFile(path=path, role=role, group="/".join(folders), stem=stem)


def _is_beside_frames(path: Path, root: Path) -> bool:
    """Whether a folder on the way is called like its neighbour with _gt, _masks or the like behind."""
    folder = path.parent
    while folder != root:
        plain = strip_mask_suffix(folder.name)
        if plain != folder.name and folder.with_name(plain).is_dir():
            return True
        folder = folder.parent
    return False


def strip_mask_suffix(stem: str) -> str:
    """Return the frame's name that a mask's name contains: `frame7` of `frame7_mask`; other names as they are."""
    return MASK_SUFFIX.sub("", stem)


def list_files(root: Path, suffixes: Collection[str]) -> tuple[list[Path], list[Path]]:
    """Return the files below `root` with one of the suffixes, and all others, each sorted; hidden ones are left out.

    Links to folders are followed, each folder once. Named pipes are never wanted: who opens one waits. Raises
    InputError for a folder that may not be read.
    """
    wanted: list[Path] = []
    others: list[Path] = []
    seen: set[Path] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=_refuse):
        real = Path(folder).resolve()
        subfolders[:] = [] if real in seen else sorted(name for name in subfolders if not _is_hidden(name))
        if real in seen:
            continue
        seen.add(real)
        for name in names:
            if not _is_hidden(name):
                path = Path(folder, name)
                is_wanted = path.suffix.lower() in suffixes and not is_pipe(path)
                (wanted if is_wanted else others).append(path)
    return sorted(wanted), sorted(others)


def is_pipe(path: Path) -> bool:
    """Whether a path is a named pipe, or what is piped in."""
    try:
        return path.is_fifo()
    except OSError:
        return False


def plain_folder_name(name: str) -> str:
    """Return a folder's name in small letters without spaces, dashes and underscores: Ground Truth is groundtruth."""
    return re.sub(r"[\s_-]", "", name.lower())


def _role_of_folder(name: str) -> Literal["image", "mask", "unknown"]:
    plain = plain_folder_name(name)
    if plain in IMAGE_FOLDERS:
        return "image"
    return "mask" if plain in MASK_FOLDERS else "unknown"


def _one_form(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _refuse(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise InputError(
            f"no permission to read the folder {error.filename}", hint="change its permissions, or leave it out"
        )


def _is_hidden(name: str) -> bool:
    """True for what file managers and archives leave behind: .DS_Store, ._a.png, __MACOSX, Thumbs.db."""
    return name.startswith(".") or name in {"__MACOSX", "Thumbs.db", "desktop.ini"}
