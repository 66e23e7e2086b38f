"""What one video adds to the tables of all: kept in a small file until its turn comes, then written again.

Lines of JSON, compressed, so that a machine reads nothing but values, and both ways in constant memory.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from endoseg_cli.annotations.writing.regions import AnnotatedFrame, Region
from endoseg_cli.annotations.writing.writer import AnnotationWriter
from endoseg_cli.errors import InputError
from endoseg_cli.inference.write.records import FrameRecord, RecordsSink


class RowsWriter:
    """Collects the rows of one video in a file; `records` and `annotations` take the places of the job's writers."""

    def __init__(self, path: Path, *, final: Callable[[Path], Path]) -> None:
        """`final` says where the picture of a frame will lie."""
        self._file = gzip.open(path, "wt", encoding="utf-8", compresslevel=1)
        self.records: RecordsSink = _Records(self)
        self.annotations: AnnotationWriter = _Annotations(self, final)

    def add(self, kind: str, value: Any) -> None:
        """Append a line."""
        self._file.write(json.dumps([kind, value]) + "\n")

    def close(self) -> None:
        """Complete the file."""
        self._file.close()


class _Records:
    def __init__(self, rows: RowsWriter) -> None:
        self._rows = rows

    def write(self, records: list[FrameRecord]) -> None:
        for record in records:
            self._rows.add("record", asdict(replace(record, input="")))


class _Annotations(AnnotationWriter):
    def __init__(self, rows: RowsWriter, final: Callable[[Path], Path]) -> None:
        self._rows, self._final = rows, final

    def write(self, frame: AnnotatedFrame) -> None:
        regions = [_packed(region) for region in frame.regions]
        picture = None if frame.picture is None else str(self._final(frame.picture))
        facts = {"name": str(frame.name), "picture": picture, "size": frame.size, "regions": regions}
        self._rows.add("frame", facts)

    def finish(self) -> None:
        """Do nothing: the rows are completed together."""

    def abort(self) -> None:
        """Do nothing: the rows are given up together."""


def read_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the lines of a file as (kind, value); raises InputError for one that is damaged."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                kind, value = json.loads(line)
                yield kind, value
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}", hint="add --overwrite, which does all anew") from error


def write_again(
    path: Path,
    source: str,
    records: RecordsSink | None,
    annotations: AnnotationWriter | None,
    picture: Callable[[Path], Path | None],
) -> None:
    """Give the rows of a video to the writers of the whole job, which call its input `source`.

    `picture` says where the picture of a frame lies for them, None where no way leads there from the annotations.
    Raises InputError for damaged rows, OutputError where nothing can be written.
    """
    for kind, value in read_rows(path):
        if kind == "record" and records is not None:
            records.write([FrameRecord(**value | {"input": source})])
        elif kind == "frame" and annotations is not None:
            annotations.write(_frame(value, picture))


def _frame(value: dict[str, Any], picture: Callable[[Path], Path | None]) -> AnnotatedFrame:
    height, width = value["size"]
    return AnnotatedFrame(
        name=PurePosixPath(value["name"]),
        picture=None if value["picture"] is None else picture(Path(value["picture"])),
        size=(height, width),
        regions=tuple(_region(region) for region in value["regions"]),
    )


def _packed(region: Region) -> dict[str, Any]:
    height, width = region.crop.shape
    return {
        "class_index": region.class_index,
        "score": float(region.score),
        "place": [region.left, region.top, width, height],
        "bits": base64.b64encode(np.packbits(region.crop).tobytes()).decode(),
    }


def _region(value: dict[str, Any]) -> Region:
    left, top, width, height = value["place"]
    bits = np.frombuffer(base64.b64decode(value["bits"]), np.uint8)
    return Region(
        class_index=value["class_index"],
        score=value["score"],
        left=left,
        top=top,
        crop=np.unpackbits(bits, count=width * height).reshape(height, width).astype(np.bool_),
    )
