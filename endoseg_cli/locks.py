"""Keep two processes from writing into one place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from endoseg_cli.errors import OutputError
from endoseg_cli.part_file import acquire


@contextlib.contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file while the block runs; the system frees it when the process ends, however that happens.

    Raises OutputError if another process holds it. Where the file system knows no locks, nothing is held.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}", hint="choose another folder") from error
    try:
        if not acquire(handle):
            raise OutputError(f"another process is writing {what}", hint="wait until it ends, or choose another name")
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
    finally:
        os.close(handle)
