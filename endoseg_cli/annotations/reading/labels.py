"""What annotation files say of one picture, read back: the union of its shapes as a mask."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from endoseg_cli.annotations.shapes.drawing import draw_ring
from endoseg_cli.annotations.shapes.rings import Bitmap, Ring
from endoseg_cli.annotations.shapes.rle import RunLengths
from endoseg_cli.errors import InputError, MissingInputError

BACKGROUND_NAMES = frozenset({"background", "_background_", "__background__"})
"""Names of labels that mean no lesion; every other label is foreground."""
FURTHEST = 1e7
"""Pixels from the picture at which no point lies."""
LONGEST_NUMBER = 40
"""Letters of a number that is written as text."""
MOST_PIXELS = 1 << 27
"""As many as the largest picture that is read."""
LARGEST_SIDE = 65_536
"""No picture is larger; what a file says of its size is not believed beyond."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureLabels:
    """The shapes of one picture."""

    name: str
    """The picture's path as the file gives it, with slashes."""
    size: tuple[int, int]
    """Height and width that the file gives."""
    rings: tuple[Ring, ...]
    """Polygons, each filled."""
    runs: tuple[RunLengths, ...]
    """Masks, each of the picture's size."""

    @property
    def outside(self) -> int:
        """How many shapes lie wholly outside the picture, so that the mask has nothing of them."""
        far = np.array([self.size[1], self.size[0]])
        return sum(bool((ring.max(axis=0) <= 0).any() or (ring.min(axis=0) >= far).any()) for ring in self.rings)

    def mask(self) -> Bitmap:
        """Return the union of all shapes, (H, W)."""
        mask = np.zeros(self.size, dtype=np.bool_)
        for ring in self.rings:
            draw_ring(mask, ring)
        for runs in self.runs:
            mask |= runs.mask()
        return mask


@dataclass(frozen=True, kw_only=True, eq=False)
class FileLabels:
    """A file that labels many pictures, and what is wrong with it."""

    path: Path
    """The file."""
    pictures: tuple[PictureLabels, ...]
    """The pictures in its order; those without annotations have no lesion."""
    foreground: tuple[str, ...]
    """Names of the categories whose shapes are foreground, together."""
    faults: tuple[str, ...]
    """One sentence for each image or annotation that cannot be understood, naming file and id."""


def read_file(path: Path) -> bytes:
    """Read an annotation file; raises MissingInputError or InputError."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingInputError(f"no such annotation file: {path}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def load_json(path: Path) -> Any:
    """Read a JSON file; raises MissingInputError or InputError."""
    try:
        return json.loads(read_file(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected an annotation file in JSON, found {error}: {path}") from error


def parse_size(height: object, width: object) -> tuple[int, int]:
    """Return height and width; raises ValueError where they are no sides of a picture."""
    numbers = [as_number(side) for side in (height, width)]
    sides = [int(side) for side in numbers if side is not None and side in range(1, LARGEST_SIDE)]
    if len(sides) != 2 or sides[0] * sides[1] > MOST_PIXELS:
        raise ValueError(f"a width and a height, found {width!r:.40} and {height!r:.40}")
    return sides[0], sides[1]


def as_number(value: object) -> float | None:
    """Return a number, or what a text of one means; None for anything else."""
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER:
        try:
            return float(value)
        except ValueError:
            return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def parse_points(points: object) -> Ring:
    """Return [[x, y], ...] or [x, y, x, y, ...] as an array (N, 2); raises ValueError where they are something else."""
    try:
        values = np.asarray(points, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise ValueError("pairs of numbers as points, found something else") from None
    if values.size % 2 or not np.isfinite(values).all() or values.ndim > 2 or (abs(values) > FURTHEST).any():
        raise ValueError("pairs of numbers as points, found something else")
    return values.reshape(-1, 2)


def plain_name(name: str) -> str:
    """Return a path as tools write it, with slashes whatever the system.

    Of Label Studio's /data/local-files/?d=PATH and of a web address it is the path.
    """
    address = urlsplit(name)
    local = parse_qs(address.query).get("d", []) if address.path.endswith("local-files/") else []
    if local:
        name = local[0]
    elif address.scheme in ("http", "https"):
        name = unquote(address.path)
    return name.replace("\\", "/")
