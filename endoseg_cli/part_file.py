"""Files that have their final name only when they are complete, under temporary names that are nobody else's."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TextIO

from endoseg_cli.errors import OutputError

PART_ENDING = ".endoseg.part"
"""What a file is called behind its name while it grows. Whatever has this ending is endoseg's own."""
LONGEST_NAME = 255
"""Bytes of a file name that file systems take."""
FLUSH_SECONDS = 1.0
"""How much of a growing table a crash may take."""
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)


def part_path(path: Path) -> Path:
    """Return the name that a growing output has until it is complete."""
    name = path.name + PART_ENDING
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32] + PART_ENDING
    return path.with_name(name)


class Claim:
    """The right to write one output, held by a lock on its part file while the file grows.

    A part file that an interrupted run left is emptied and taken over. Raises OutputError where another process is
    writing it, and where the name is a link or no plain file, behind which somebody's data may lie.
    """

    def __init__(self, path: Path) -> None:
        self.part = part_path(path)
        """The part file: there, empty and ours."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = self._open(path)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            found = "it is a link" if self.part.is_symlink() else error.strerror
            raise OutputError(f"cannot write {self.part}: {found}", hint="choose another folder or name") from error

    def release(self) -> None:
        """Let others write it; called once, when the file has its final name or is given up."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _open(self, path: Path) -> int | None:
        while True:
            handle = os.open(self.part, os.O_RDWR | os.O_CREAT | _NO_FOLLOW | _BINARY, 0o666)
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
                os.close(handle)
                raise OutputError(
                    f"cannot write {self.part}: something else has this name", hint="remove it, or choose another name"
                )
            if not acquire(handle):
                os.close(handle)
                raise OutputError(
                    f"another process is writing {path}", hint="wait until it ends, or choose another name"
                )
            if self._is_still_there(facts):
                os.ftruncate(handle, 0)
                return self._kept(handle)
            os.close(handle)  # the other process has just finished and renamed it

    def _is_still_there(self, facts: os.stat_result) -> bool:
        try:
            return os.path.samestat(facts, self.part.lstat())
        except FileNotFoundError:
            return False

    def _kept(self, handle: int) -> int | None:
        if sys.platform == "win32":  # an open file cannot be renamed there
            os.close(handle)
            return None
        return handle


def acquire(handle: int) -> bool:
    """Lock an open file; return False only where another process holds it."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks there, as on some network drives
        return True
    return True


def publish(part: Path, path: Path) -> None:
    """Give a complete file its final name, once the disk has all of it; raises OSError."""
    handle = os.open(part, os.O_RDONLY | _BINARY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (22, 95):  # some file systems cannot: EINVAL, EOPNOTSUPP
            raise
    finally:
        os.close(handle)
    part.replace(path)


@contextlib.contextmanager
def whole_file(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a small file that gets its name when the block ends, and is gone if that fails; raises OSError.

    `durable` waits until the disk has it, which is too slow for a picture of every frame.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.endoseg.tmp")
    try:
        with open(temporary, "xb", opener=_open_new) as file:
            yield file
        if durable:
            publish(temporary, path)
        else:
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _open_new(name: str, flags: int) -> int:
    return os.open(name, flags | _NO_FOLLOW, 0o666)


def remove_part(part: Path) -> None:
    """Remove a part file that an interrupted run left; one that another process is writing stays, as does a link."""
    with contextlib.suppress(OSError):
        handle = os.open(part, os.O_RDWR | _NO_FOLLOW | _BINARY)
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode) and acquire(handle):
                part.unlink()
        finally:
            os.close(handle)


class FinishOrAbort(ABC):
    """A context manager whose end finishes what was written, or after an exception aborts it."""

    @abstractmethod
    def finish(self) -> None:
        """Complete what was written and give it its final name; raises OutputError."""

    @abstractmethod
    def abort(self) -> None:
        """Complete what was written so that it can be read, and leave it under its temporary name."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.abort()


class PartFile:
    """Writes a text's part file, at most a second behind, and renames it in `finish`.

    Raises OutputError where it cannot be written, also where another process is writing it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._claim = Claim(path)
        self.part = self._claim.part
        self._flushed = time.monotonic()
        try:
            # surrogateescape: file names that are not UTF-8 keep their bytes
            self._file: TextIO = self.part.open("w", encoding="utf-8", newline="\n", errors="surrogateescape")
        except OSError as error:
            self._claim.release()
            raise OutputError(f"cannot write {self.part}: {error.strerror}", hint="choose another folder") from error

    def write(self, text: str) -> None:
        """Append text."""
        try:
            self._file.write(text)
            if time.monotonic() - self._flushed > FLUSH_SECONDS:
                self._file.flush()
                self._flushed = time.monotonic()
        except OSError as error:
            raise OutputError(f"cannot write {self.part}: {error.strerror}", hint="check the free space") from error

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._file.closed

    def close(self) -> None:
        """Close the part file and leave it."""
        try:
            self._file.close()
        except OSError as error:
            raise OutputError(f"cannot write {self.part}: {error.strerror}", hint="check the free space") from error
        finally:
            self._claim.release()

    def finish(self) -> None:
        """Close the file and give it its final name."""
        self.close()
        try:
            publish(self.part, self.path)
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}", hint="choose another name") from error


def write_whole(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Write a small file in one go, making its folder, `durable` as in `whole_file`; raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, durable=durable) as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        reason, hint = error.strerror or error, "check the folder and its free space"
        raise OutputError(f"cannot write {path}: {reason}", hint=hint) from error
