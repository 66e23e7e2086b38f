"""What a case is: an input drawn into a folder, a command over it, and what endoseg promises of it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.data.drawing import draw_frame, draw_mask, save

SIDE = (24, 32)
Make = Callable[[Path], object]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table."""

    name: str
    """Its name among the tests."""
    make: Make
    """Draws the input into an empty folder."""
    command: str
    """Arguments of `endoseg`; `{}` is the folder, `{model}` a model that finds a lesion everywhere."""
    code: int
    """The promised exit code."""
    says: str = ""
    """What stderr or stdout must match, as a regular expression."""
    leaves: str = ""
    """Files that must be in the folder afterwards, by a blank."""


def frame(seed: int = 0, size: tuple[int, int] = SIDE) -> NDArray[np.uint8]:
    """Draw a small picture."""
    return draw_frame(seed, size)


def mask(radius: int = 6, size: tuple[int, int] = SIDE) -> NDArray[np.uint8]:
    """Draw a small mask."""
    return draw_mask(size, radius)


def text(name: str, content: str | bytes) -> Make:
    """Return what writes one file."""

    def make(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


def together(*makes: Make) -> Make:
    """Return what does several things in turn."""

    def make(folder: Path) -> None:
        for one in makes:
            one(folder)

    return make


def picture(name: str, pixels: NDArray[Any] | None = None, seed: int = 0) -> Make:
    """Return what saves one picture."""
    return lambda folder: save(folder / name, frame(seed) if pixels is None else pixels)


def holed_jpeg(name: str) -> Make:
    """Return what saves a JPEG that lacks some bytes in its middle, which decoders salvage."""
    pixels = np.random.default_rng(1).integers(0, 255, (*SIDE, 3), dtype=np.uint8)

    def make(folder: Path) -> None:
        content = save(folder / name, pixels).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2] + content[len(content) // 2 + 200 :])

    return make


def pairs(count: int = 2, images: str = "images", masks: str = "masks") -> Make:
    """Return what draws a healthy labelled folder."""

    def make(folder: Path) -> None:
        for index in range(count):
            save(folder / images / f"{index}.png", frame(index))
            save(folder / masks / f"{index}.png", mask())

    return make


def as_json(name: str, content: object) -> Make:
    """Return what writes one JSON file."""
    return text(name, json.dumps(content))


def coco(shape: dict[str, Any] | None = None, image: dict[str, Any] | None = None, **rest: Any) -> Make:
    """Return what writes a picture and a COCO file over it, in which some values are others."""
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": [[2, 2, 20, 2, 20, 18]]}
    about = {"id": 1, "file_name": "a.png", "width": 32, "height": 24}
    content = {
        "images": [about | (image or {})],
        "annotations": [annotation | (shape or {})],
        "categories": [{"id": 1, "name": "polyp"}],
    }
    return together(picture("a.png"), as_json("a.json", content | rest))


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that promises a picture and has none."""
    head = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + head + zlib.crc32(head).to_bytes(4, "big")
