"""Read LabelMe files as masks."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from endoseg_cli.annotations.reading.labels import BACKGROUND_NAMES, PictureLabels, parse_points, parse_size, plain_name
from endoseg_cli.annotations.shapes.rings import Bitmap, Ring
from endoseg_cli.annotations.shapes.rle import RunLengths, encode
from endoseg_cli.errors import InputError
from endoseg_cli.pictures.library_messages import overheard

STRAY = frozenset({"point", "points"})
"""Kinds of shapes that a slip of the hand leaves beside the others."""
CIRCLE_POINTS = 128
"""Corners of the polygon that stands for a circle."""


def is_labelme(content: object) -> bool:
    """Whether parsed JSON is laid out as LabelMe's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def parse_labelme(content: Any, path: Path) -> PictureLabels:
    """Understand a parsed LabelMe file; polygons, rectangles, circles and masks of all labels but a background count.

    Points beside other shapes count nothing. A file without a size has its picture's, which lies beside it or
    in it. Raises InputError for shapes that cannot be understood, and for what is no LabelMe file.
    """
    if not is_labelme(content):
        raise InputError(f"expected a LabelMe file with shapes and imagePath, found none in {path}")
    try:
        size = _size(content, path)
        rings: list[Ring] = []
        runs: list[RunLengths] = []
        kinds = [shape.get("shape_type") if isinstance(shape, dict) else None for shape in content["shapes"]]
        for number, shape in enumerate(content["shapes"], start=1):
            _add_shape(shape, number, size, rings, runs, has_only_points=STRAY.issuperset(kinds))
    except ValueError as error:
        raise InputError(
            f"expected {error}: {path}", hint="open the file in LabelMe, mend the shape and save"
        ) from None
    name = plain_name(str(content["imagePath"]))
    return PictureLabels(name=name, size=size, rings=tuple(rings), runs=tuple(runs))


def _size(content: dict[str, Any], path: Path) -> tuple[int, int]:
    """Return height and width; LabelMe 3 wrote none, and older files have only the picture itself."""
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if height is not None or width is not None:
        return parse_size(height, width)
    data = content.get("imageData")
    picture = path.parent / plain_name(str(content["imagePath"]))
    try:
        letters = (
            np.frombuffer(base64.b64decode(data, validate=True), dtype=np.uint8)
            if isinstance(data, str) and data
            else np.fromfile(next(p for p in (picture, path.parent / picture.name) if p.is_file()), np.uint8)
        )
        with overheard():
            pixels = cv2.imdecode(letters, cv2.IMREAD_COLOR)
    except (OSError, ValueError, StopIteration, cv2.error):
        pixels = None
    if pixels is None:
        raise ValueError("imageHeight and imageWidth, or the picture beside the file, found neither")
    return pixels.shape[0], pixels.shape[1]


def _add_shape(
    shape: Any,
    number: int,
    size: tuple[int, int],
    rings: list[Ring],
    runs: list[RunLengths],
    *,
    has_only_points: bool,
) -> None:
    if not isinstance(shape, dict):
        raise ValueError(f"an object for shape {number}, found {shape!r:.40}")
    if str(shape.get("label")).lower() in BACKGROUND_NAMES:
        return
    try:
        points = parse_points(shape.get("points"))
        if shape.get("shape_type") == "mask":
            runs.append(_pasted(shape.get("mask"), points, size))
        elif shape.get("shape_type") not in STRAY or has_only_points:
            rings.append(_ring(shape.get("shape_type") or "polygon", points))
    except ValueError as error:
        raise ValueError(f"{error} (shape {number}, {shape.get('label')})") from None


def _ring(kind: str, points: Ring) -> Ring:
    """Return a shape's rim; raises ValueError for one that has no area."""
    match kind, len(points):
        case "polygon" | "oriented_rectangle", count if count >= 3:
            return points
        case "rectangle", 2:
            (x0, y0), (x1, y1) = points
            return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        case "rectangle", 4:
            return points
        case "circle", 2:
            angles = np.linspace(0, 2 * math.pi, CIRCLE_POINTS, endpoint=False)
            radius = math.dist(points[0], points[1])
            rim: Ring = points[0] + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            return rim
    raise ValueError(f"a polygon, rectangle, circle or mask, found {kind} of {len(points)} points")


def _pasted(data: Any, points: Ring, size: tuple[int, int]) -> RunLengths:
    """Return a mask shape, a PNG at its box's upper left corner, in the whole picture."""
    if not isinstance(data, str) or len(points) < 1:
        raise ValueError("a mask as PNG in base64 and its box, found something else")
    crop = _decode_png(data)
    left, top = (round(value) for value in points[0].tolist())
    padded = np.zeros((size[0] + crop.shape[0], size[1] + crop.shape[1]), dtype=np.bool_)
    if not (0 <= top < size[0] and 0 <= left < size[1]):
        raise ValueError(f"a mask inside the picture, found its corner at {left}, {top}")
    padded[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    return encode(padded[: size[0], : size[1]])


def _decode_png(data: str) -> Bitmap:
    try:
        letters = np.frombuffer(base64.b64decode(data, validate=True), dtype=np.uint8)
        with overheard():
            pixels = cv2.imdecode(letters, cv2.IMREAD_GRAYSCALE) if letters.size else None
    except (ValueError, cv2.error):
        pixels = None
    if pixels is None:
        raise ValueError("a mask as PNG in base64, found it damaged")
    return np.asarray(pixels) > 0
