"""Folders for the files of one task, which are gone when it ends, or with the next task if it was killed."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from endoseg_cli.part_file import acquire

PREFIX = "endoseg-video-"
"""How the folders begin."""
LOCK = ".lock"
"""The file in it that its maker holds a lock on, and that says which process that is."""
_UNLOCKED_SECONDS = 3600.0
"""How old a folder without a lock is when its maker must be dead."""


@contextmanager
def private_folder() -> Iterator[Path]:
    """Give a new folder that nobody else may look into, below TMPDIR, and remove what killed tasks left there."""
    sweep()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        handle = os.open(Path(name) / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            acquire(handle)
            os.write(handle, str(os.getpid()).encode())
            yield Path(name)
        finally:
            os.close(handle)


def sweep() -> None:
    """Remove the folders below TMPDIR whose makers were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if _is_left(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    try:
        facts = folder.lstat()
    except OSError:
        return False
    try:
        if not folder.is_dir() or folder.is_symlink() or (hasattr(os, "getuid") and facts.st_uid != os.getuid()):
            return False
        handle = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return time.time() - facts.st_mtime > _UNLOCKED_SECONDS
    except OSError:
        return False
    try:
        return acquire(handle)
    finally:
        os.close(handle)
