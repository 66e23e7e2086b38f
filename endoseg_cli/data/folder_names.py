"""What the names of folders and files say: image or mask, of which frame, of which patient or video."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

IMAGE_FOLDERS = frozenset({"image", "images", "img", "imgs", "frame", "frames"})
MASK_FOLDERS = frozenset(
    "mask masks gt gts label labels annotation annotations ground_truth groundtruth ground-truth "
    "segmentation segmentations".split()
)
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
    the group patient1.
    """
    folders = list(path.relative_to(root).parts[:-1])
    role: Literal["image", "mask", "unknown"] = "unknown"
    for position in reversed(range(len(folders))):
        if (found := _role_of_folder(folders[position])) != "unknown":
            role = found
            del folders[position]
            break
    else:
        for position in reversed(range(len(folders))):
            if match := NUMBERED_FOLDER.match(folders[position]):
                role = _role_of_folder(match[1])
                folders[position] = match[2]
                break
    return PlacedFile(path=path, role=role, group="/".join(folders), stem=path.stem)


def strip_mask_suffix(stem: str) -> str:
    """Return the frame's name that a mask's name contains: `frame7` of `frame7_mask`; other names as they are."""
    return MASK_SUFFIX.sub("", stem)


def list_files(root: Path, suffixes: Collection[str]) -> tuple[list[Path], list[Path]]:
    """Return the files below `root` with one of the suffixes, and all others, each sorted; hidden ones are left out.

    Links to folders are followed, each folder once.
    """
    wanted: list[Path] = []
    others: list[Path] = []
    seen: set[Path] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = Path(folder).resolve()
        subfolders[:] = [] if real in seen else sorted(name for name in subfolders if not _is_hidden(name))
        if real in seen:
            continue
        seen.add(real)
        for name in names:
            if not _is_hidden(name):
                path = Path(folder, name)
                (wanted if path.suffix.lower() in suffixes else others).append(path)
    return sorted(wanted), sorted(others)


def _role_of_folder(name: str) -> Literal["image", "mask", "unknown"]:
    lowered = name.lower()
    if lowered in IMAGE_FOLDERS:
        return "image"
    return "mask" if lowered in MASK_FOLDERS else "unknown"


def _is_hidden(name: str) -> bool:
    """True for what file managers and archives leave behind: .DS_Store, ._a.png, __MACOSX, Thumbs.db."""
    return name.startswith(".") or name in {"__MACOSX", "Thumbs.db", "desktop.ini"}
