"""Files that have their final name only when they are complete."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from endoseg_cli.errors import OutputError


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
    """Writes `<path>.part`, and renames it in `finish`. Raises OutputError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path, self.part = path, path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # surrogateescape: file names that are not UTF-8 keep their bytes
            self._file: TextIO = self.part.open("w", encoding="utf-8", newline="\n", errors="surrogateescape")
        except OSError as error:
            raise OutputError(f"cannot write {self.part}: {error.strerror}", hint="choose another folder") from error

    def write(self, text: str) -> None:
        """Append text."""
        try:
            self._file.write(text)
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

    def finish(self) -> None:
        """Close the file and give it its final name."""
        self.close()
        try:
            self.part.replace(self.path)
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}", hint="choose another name") from error


def write_whole(path: Path, text: str) -> None:
    """Write a small file in one go, making its folder; raises OutputError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the folder {path.parent} for {path.name}: {error.strerror}"
        raise OutputError(message, hint="choose another folder") from error
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}", hint="choose another folder") from error
