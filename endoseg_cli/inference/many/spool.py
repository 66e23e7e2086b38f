"""Rows of tables on their way from the process that found them to the one that writes the table.

A file for each unit of work, in a folder that is this job's alone; what it holds is read by nobody else.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from endoseg_cli.annotations.writing.regions import AnnotatedFrame
from endoseg_cli.annotations.writing.writer import AnnotationWriter
from endoseg_cli.errors import OutputError
from endoseg_cli.inference.write.records import FrameRecord, RecordsSink


def spool_file(folder: Path, first: int) -> Path:
    """Return where the rows of the unit that begins with the input `first` are kept."""
    return folder / f"{first}.rows"


class RecordsSpool:
    """Keeps records for later."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, records: list[FrameRecord]) -> None:
        """Append records; raises OutputError."""
        _keep(self._file, records)


class AnnotationSpool(AnnotationWriter):
    """Keeps annotated frames for later, their outlines drawn already."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, frame: AnnotatedFrame) -> None:
        """Append a frame; raises OutputError, and UnicodeEncodeError for a name that no annotation file can hold."""
        str(frame.name).encode()
        for region in frame.regions:
            _ = region.outline  # drawn here, by one of many, and kept with the region
        _keep(self._file, frame)

    def finish(self) -> None:
        """Do nothing: the file is closed with the unit."""

    def abort(self) -> None:
        """Do nothing: the file is closed with the unit."""


def _keep(file: BinaryIO, value: list[FrameRecord] | AnnotatedFrame) -> None:
    try:
        pickle.dump(value, file, protocol=pickle.HIGHEST_PROTOCOL)
    except OSError as error:
        raise _no_space(error) from error


def _no_space(error: OSError) -> OutputError:
    return OutputError(
        f"cannot write a temporary file: {error.strerror}", hint="check the free space, or set TMPDIR to another folder"
    )


@contextlib.contextmanager
def spooled(
    folder: Path, first: int, *, wants_records: bool, wants_annotations: bool
) -> Iterator[tuple[RecordsSpool | None, AnnotationSpool | None]]:
    """Open the spool of a unit for what is wanted, none for nothing; raises OutputError where it cannot be written."""
    if not (wants_records or wants_annotations):
        yield None, None
        return
    try:
        file = spool_file(folder, first).open("wb")
    except OSError as error:
        raise _no_space(error) from error
    with file:
        yield RecordsSpool(file) if wants_records else None, AnnotationSpool(file) if wants_annotations else None


def replay(folder: Path, first: int, records: RecordsSink | None, annotations: AnnotationWriter | None) -> None:
    """Write the rows of a unit that has ended into the tables, and remove its spool."""
    path = spool_file(folder, first)
    if not path.exists():
        return
    with path.open("rb") as file:
        for value in _values(file):
            if isinstance(value, AnnotatedFrame):
                assert annotations is not None, "annotations are kept where they are wanted"
                annotations.write(value)
            else:
                assert records is not None, "records are kept where they are wanted"
                records.write(value)
    path.unlink()


def _values(file: BinaryIO) -> Iterator[list[FrameRecord] | AnnotatedFrame]:
    while True:
        try:
            yield pickle.load(file)
        except EOFError:
            return
