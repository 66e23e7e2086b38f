"""Where an output video goes, checked before hours of work: its container, its folder, and what is there already."""

from __future__ import annotations

import os
from pathlib import Path

from endoseg_cli.errors import OutputError, UsageError

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""FFmpeg's muxer for each file ending that is allowed for output."""


def container_for(path: Path) -> str:
    """Return FFmpeg's name of the container for a file name; raises UsageError for an ending that is not allowed."""
    container = CONTAINERS.get(path.suffix.lower())
    if container is None:
        found = f"'{path.suffix}'" if path.suffix else "no ending"
        raise UsageError(
            f"expected an output video ending in {', '.join(CONTAINERS)}, found {found}: {path}",
            hint=f"write to {path.stem or 'mask'}.mp4, which every player and browser opens",
        )
    return container


def check_target(path: Path, *, source: Path, overwrite: bool) -> None:
    """Make sure that an output video can be written, without writing anything.

    Raises UsageError for a file ending that is not allowed, and OutputError if the target is the input itself or a
    folder, exists and may not be overwritten, or lies where nothing can be written.
    """
    container_for(path)
    if path.is_dir():
        raise OutputError(f"expected an output file, found a folder: {path}", hint=f"write to {path / 'mask.mp4'}")
    if path.exists():
        if source.exists() and path.samefile(source):
            raise OutputError(f"the output would replace the input: {path}", hint="choose another name for the output")
        if not overwrite:
            raise OutputError(f"the output exists already: {path}", hint="add --overwrite, or choose another name")
    _check_folder(path)


def _check_folder(path: Path) -> None:
    """Check that the folder exists or can be made, and that files can be made in it."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise OutputError(f"cannot write {path}: {folder} is a file, not a folder", hint="choose another folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write in {folder}", hint="choose another folder for the output")
