"""Read COCO instance annotations as masks."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from endoseg_cli.annotations.reading.labels import (
    BACKGROUND_NAMES,
    FileLabels,
    PictureLabels,
    as_number,
    parse_points,
    parse_size,
    plain_name,
)
from endoseg_cli.annotations.shapes.rings import Ring
from endoseg_cli.annotations.shapes.rle import RunLengths, unpack
from endoseg_cli.errors import InputError


def is_coco(content: object) -> bool:
    """Whether parsed JSON is laid out as COCO."""
    return isinstance(content, dict) and isinstance(content.get("images"), list)


def parse_coco(content: Any, path: Path) -> FileLabels:
    """Understand a parsed COCO file; polygons and run lengths of all categories but a background count as lesion.

    Raises InputError if the file as a whole is no COCO file; what is wrong with an entry becomes a fault.
    """
    annotations = content.get("annotations") if is_coco(content) else None
    if not isinstance(annotations, list):
        raise InputError(
            f"expected a COCO file with images and annotations, found none in {path}",
            hint="export the annotations as COCO (instances), or give LabelMe files in a folder with their pictures",
        )
    return _Reading(path).read(content["images"], annotations, content.get("categories"))


class _Reading:
    """One file on its way; `faults` gathers what is wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[str] = []

    def read(self, images: list[Any], annotations: list[Any], categories: Any) -> FileLabels:
        names = self._category_names(categories)
        shapes: dict[Any, list[Ring | RunLengths]] = defaultdict(list)
        sizes = {
            key: image for image in images if isinstance(image, dict) and (key := _key(image.get("id"))) is not None
        }
        for annotation in annotations:
            self._add(annotation, shapes, sizes, names)
        pictures = [self._picture(image, shapes) for image in images]
        return FileLabels(
            path=self.path,
            pictures=tuple(picture for picture in pictures if picture is not None),
            foreground=tuple(name for name in names.values() if name.lower() not in BACKGROUND_NAMES),
            faults=tuple(self.faults),
        )

    def _category_names(self, categories: Any) -> dict[Any, str]:
        entries = categories if isinstance(categories, list) else []
        names = {
            key: str(entry.get("name"))
            for entry in entries
            if isinstance(entry, dict) and (key := _key(entry.get("id"))) is not None
        }
        if not names:
            raise InputError(f"expected categories with id and name, found none in {self.path}", hint="export it again")
        return names

    def _add(
        self, annotation: Any, shapes: dict[Any, list[Ring | RunLengths]], images: dict[Any, Any], names: dict[Any, str]
    ) -> None:
        if not isinstance(annotation, dict):
            self._fault("an annotation", f"an object, found {annotation!r:.40}")
            return
        what = f"annotation {annotation.get('id')}"
        image, category = _key(annotation.get("image_id")), _key(annotation.get("category_id"))
        if image is None or image not in images:
            self._fault(what, f"the id of an image, found image_id {annotation.get('image_id')!r:.40}")
        elif category is None or category not in names:
            self._fault(what, f"the id of a category, found category_id {annotation.get('category_id')!r:.40}")
        elif names[category].lower() not in BACKGROUND_NAMES and _has_size(images[image]):  # else told already
            try:
                shapes[image].extend(_shapes(annotation.get("segmentation"), images[image]))
            except ValueError as error:
                self._fault(what, str(error))

    def _picture(self, image: Any, shapes: dict[Any, list[Ring | RunLengths]]) -> PictureLabels | None:
        key = _key(image.get("id")) if isinstance(image, dict) else None
        if key is None or not isinstance(image.get("file_name"), str):
            self._fault("an image", f"id and file_name, found {image!r:.80}")
            return None
        try:
            size = parse_size(image.get("height"), image.get("width"))
        except ValueError as error:
            self._fault(f"image {image['file_name']}", str(error))
            return None
        mine = shapes.get(key, [])
        return PictureLabels(
            name=plain_name(image["file_name"]),
            size=size,
            rings=tuple(shape for shape in mine if not isinstance(shape, RunLengths)),
            runs=tuple(shape for shape in mine if isinstance(shape, RunLengths)),
        )

    def _fault(self, what: str, message: str) -> None:
        self.faults.append(f"{what} in {self.path}: expected {message}")


def _key(value: Any) -> int | str | None:
    """Return an id; some tools write the same number as 7, "7" or 7.0. None where it is none."""
    number = as_number(value)
    if number is not None and number == number // 1:
        return int(number)
    return value if isinstance(value, str) else None


def _has_size(image: dict[str, Any]) -> bool:
    try:
        parse_size(image.get("height"), image.get("width"))
    except ValueError:
        return False
    return True


def _shapes(segmentation: Any, image: dict[str, Any]) -> list[Ring | RunLengths]:
    """Return an annotation's polygons or its run lengths; raises ValueError with what was expected."""
    if isinstance(segmentation, dict):
        return [_runs(segmentation, parse_size(image.get("height"), image.get("width")))]
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("a segmentation (polygons or run lengths), found a box alone")
    polygons = [parse_points(points) for points in segmentation]
    found: list[Ring | RunLengths] = [ring for ring in polygons if len(ring) >= 3]
    if not found:
        raise ValueError("polygons of three points or more, found fewer")
    return found


def _runs(segmentation: dict[str, Any], size: tuple[int, int]) -> RunLengths:
    counts = segmentation.get("counts")
    if segmentation.get("size") != list(size):
        raise ValueError(f"run lengths of size {list(size)} like the image, found {segmentation.get('size')}")
    if isinstance(counts, str):
        return RunLengths(size=size, counts=tuple(unpack(counts)))
    if not isinstance(counts, list) or not all(type(count) is int for count in counts):
        raise ValueError("counts of run lengths, found something else")
    return RunLengths(size=size, counts=tuple(counts))
