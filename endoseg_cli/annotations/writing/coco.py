"""Write COCO instance annotations: https://cocodataset.org/#format-data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from endoseg_cli.annotations.shapes.rle import encode
from endoseg_cli.annotations.writing.regions import AnnotatedFrame, Region
from endoseg_cli.annotations.writing.writer import AnnotationWriter, rounded_points
from endoseg_cli.errors import OutputError
from endoseg_cli.part_file import PartFile


class CocoWriter(AnnotationWriter):
    """One JSON file: polygons, or run lengths (iscrowd 1) for regions with holes, which COCO's polygons cannot have.

    Categories count from 1, as in COCO. Each annotation has a `score`, as COCO's results do.
    """

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        self._file = PartFile(path)
        # The file's two lists grow together: the annotations in the file, the images (one short line each) beside it.
        self._images = tempfile.TemporaryFile("w+", encoding="utf-8")
        self._frames, self._regions = 0, 0
        categories = [{"id": number, "name": name} for number, name in enumerate(class_names, start=1)]
        self._file.write(
            f'{{"info": {{"description": "predicted by endoseg"}},\n"categories": {json.dumps(categories)}'
        )
        self._file.write(',\n"annotations": [')

    def write(self, frame: AnnotatedFrame) -> None:
        """Append a frame; raises OutputError."""
        self._frames += 1
        height, width = frame.size
        image = {"id": self._frames, "file_name": frame.name.as_posix(), "width": width, "height": height}
        try:
            self._images.write((",\n" if self._frames > 1 else "\n") + json.dumps(image, ensure_ascii=False))
        except OSError as error:
            raise OutputError(
                f"cannot write a temporary file: {error.strerror}", hint="check the free space"
            ) from error
        for region in frame.regions:
            self._regions += 1
            annotation = {"id": self._regions, "image_id": self._frames, **_annotation(region, frame.size)}
            self._file.write((",\n" if self._regions > 1 else "\n") + json.dumps(annotation))

    def finish(self) -> None:
        """Complete the file and give it its final name."""
        self.abort()
        self._file.finish()

    def abort(self) -> None:
        """Complete the part file and leave it."""
        try:
            self._complete()
        finally:
            self._file.close()

    def _complete(self) -> None:
        with self._images as images:
            images.seek(0)
            self._file.write('\n],\n"images": [')
            for line in images:
                self._file.write(line)
        self._file.write("\n]}\n")


def _annotation(region: Region, size: tuple[int, int]) -> dict[str, Any]:
    crowd = bool(region.outline.holes)
    return {
        "category_id": region.class_index + 1,
        "segmentation": _run_lengths(region, size) if crowd else [_flat(region)],
        "area": int(region.crop.sum()),
        "bbox": list(region.box),
        "iscrowd": int(crowd),
        "score": round(region.score, 4),
    }


def _flat(region: Region) -> list[float]:
    return [value for point in rounded_points(region.outline.outer) for value in point]


def _run_lengths(region: Region, size: tuple[int, int]) -> dict[str, Any]:
    return {"size": list(size), "counts": list(encode(region.mask(size)).counts)}
