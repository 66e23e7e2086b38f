"""Read CVAT for images 1.1 as masks."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from endoseg_cli.annotations.reading.labels import (
    BACKGROUND_NAMES,
    FileLabels,
    PictureLabels,
    as_number,
    parse_points,
    parse_size,
    plain_name,
    read_file,
)
from endoseg_cli.annotations.shapes.rings import Ring
from endoseg_cli.annotations.shapes.rle import RunLengths, encode
from endoseg_cli.errors import InputError

ELLIPSE_POINTS = 128
"""Corners of the polygon that stands for an ellipse."""
SHAPES = ("polygon", "mask", "ellipse", "box", "polyline")
"""Elements that are meant as regions; points, tags and skeletons are not."""
_DECLARATION = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def read_cvat(path: Path) -> FileLabels:
    """Read a CVAT file; polygons, masks and ellipses of all labels but a background count as lesion.

    Raises MissingInputError or InputError if the file as a whole cannot be understood, also where it declares entities,
    which CVAT never does; what is wrong with a shape becomes a fault.
    """
    content = read_file(path)
    hint = "export the annotations as CVAT for images 1.1, or as COCO"
    if _DECLARATION.search(content.replace(b"\0", b"")):  # without the zeros of UTF-16
        raise InputError(f"expected a CVAT file, found XML that declares entities: {path}", hint=hint)
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that is none
        raise InputError(f"expected a CVAT file, found broken XML ({error}): {path}", hint=hint) from None
    images = root.findall("image")
    if root.tag != "annotations" or not images:
        found = "tracks of a video" if root.find("track") is not None else "no images"
        raise InputError(f"expected a CVAT file with images, found {found} in {path}", hint=hint)
    faults: list[str] = []
    pictures = [_picture(image, path, faults) for image in images]
    names = dict.fromkeys(shape.get("label", "") for image in images for shape in image if shape.tag in SHAPES)
    return FileLabels(
        path=path,
        pictures=tuple(picture for picture in pictures if picture is not None),
        foreground=tuple(name for name in names if name.lower() not in BACKGROUND_NAMES),
        faults=tuple(faults),
    )


def _picture(image: ElementTree.Element, path: Path, faults: list[str]) -> PictureLabels | None:
    name = image.get("name")
    what = f"image {name or image.get('id')}"
    rings: list[Ring] = []
    runs: list[RunLengths] = []
    try:
        if not name:
            raise ValueError("a name, found none")
        size = parse_size(image.get("height"), image.get("width"))
    except ValueError as error:
        faults.append(f"{what} in {path}: expected {error}")
        return None
    for number, shape in enumerate(image, start=1):
        if shape.tag not in SHAPES or shape.get("label", "").lower() in BACKGROUND_NAMES:
            continue
        try:
            if shape.tag == "mask":
                runs.append(_mask(shape, size))
            else:
                rings.append(_ring(shape))
        except ValueError as error:
            faults.append(f"shape {number} of {what} in {path}: expected {error}")
    return PictureLabels(name=plain_name(name), size=size, rings=tuple(rings), runs=tuple(runs))


def _ring(shape: ElementTree.Element) -> Ring:
    if shape.tag == "ellipse":
        x, y, across, down, turn = (_number(shape, key) for key in ("cx", "cy", "rx", "ry", "rotation"))
        angles = np.linspace(0, 2 * math.pi, ELLIPSE_POINTS, endpoint=False)
        rim = np.stack([across * np.cos(angles), down * np.sin(angles)])
        cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        ellipse: Ring = (np.array([[cosine, -sine], [sine, cosine]]) @ rim).T + np.array([x, y])
        return ellipse
    if shape.tag != "polygon":
        raise ValueError(f"a polygon, mask or ellipse, found a {shape.tag}")
    points = parse_points([pair.split(",") for pair in shape.get("points", "").split(";")])
    if len(points) < 3:
        raise ValueError("polygons of three points or more, found fewer")
    return points


def _mask(shape: ElementTree.Element, size: tuple[int, int]) -> RunLengths:
    left, top, width, height = (int(_number(shape, key)) for key in ("left", "top", "width", "height"))
    if min(left, top) < 0 or min(width, height) < 1 or left + width > size[1] or top + height > size[0]:
        raise ValueError(f"a mask inside the picture, found {width}x{height} at {left}, {top}")
    counts = [as_number(text.strip()) for text in shape.get("rle", "").split(",")]
    lengths = [int(count) for count in counts if count is not None and count >= 0 and count == count // 1]
    if len(lengths) != len(counts) or sum(lengths) != width * height:
        raise ValueError(f"run lengths that add up to {width}x{height} pixels, found others")
    crop = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(height, width)
    mask = np.zeros(size, np.bool_)
    mask[top : top + height, left : left + width] = crop
    return encode(mask)


def _number(shape: ElementTree.Element, key: str) -> float:
    number = as_number(shape.get(key, "0" if key == "rotation" else ""))
    if number is None or not abs(number) < 1e7:
        raise ValueError(f"a number as {key}, found {shape.get(key)!r:.40}")
    return number
