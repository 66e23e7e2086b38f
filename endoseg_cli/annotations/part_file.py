"""A text file that has its final name only when it is complete."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

from endoseg_cli.errors import OutputError


class PartFile:
    """Writes `<path>.part`, and renames it in `finish`. Raises OutputError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path, self.part = path, path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = self.part.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise OutputError(f"cannot write {self.part}: {error.strerror}", hint="choose another folder") from error

    def write(self, text: str) -> None:
        """Append text."""
        try:
            self._file.write(text)
        except OSError as error:
            raise OutputError(f"cannot write {self.part}: {error.strerror}", hint="check the free space") from error

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
