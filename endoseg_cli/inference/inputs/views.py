"""Which part of a video or picture the networks see: the endoscope's picture, a given box, or all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.predict.predictor import Pixels
from endoseg_cli.pictures.field_of_view import FieldOfView, find_field_of_view
from endoseg_cli.video.reading.reader import VideoReader
from endoseg_cli.video.reading.sequence import SequenceReader

ViewChoice = FieldOfView | Literal["auto", "off"]


def parse_view(text: str) -> ViewChoice:
    """Read auto, off or X,Y,W,H (pixels of the upright frame); raises UsageError for anything else."""
    if text == "auto":
        return "auto"
    if text == "off":
        return "off"
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 4 and all(part.isdecimal() for part in parts):
        x, y, width, height = map(int, parts)
        if width > 0 and height > 0:
            return FieldOfView(x=x, y=y, width=width, height=height)
    raise UsageError(
        f"--field-of-view must be auto, off or X,Y,W,H, found {text}", hint="in pixels, for example 580,20,1240,1040"
    )


def view_of_picture(choice: ViewChoice, image: Pixels, path: Path) -> FieldOfView | None:
    """Return the box of a still picture (H, W, 3), None for all of it; raises UsageError for one that leaves it."""
    if choice == "off":
        return None
    return find_field_of_view(image) if choice == "auto" else _checked(choice, image.shape[:2], path)


def view_of_video(choice: ViewChoice, reader: VideoReader | SequenceReader) -> FieldOfView | None:
    """Return the one box of a video, None for all of it.

    For auto the frames from the reader's start on are looked at. Raises UsageError for a box that leaves the frame.
    """
    if choice == "off":
        return None
    if choice != "auto":
        return _checked(choice, reader.info.upright_size, reader.info.path)
    return reader.find_field_of_view()


def _checked(box: FieldOfView, size: tuple[int, int], path: Path) -> FieldOfView:
    height, width = size
    if box.x + box.width > width or box.y + box.height > height:
        raise UsageError(
            f"--field-of-view {box.x},{box.y},{box.width},{box.height} leaves the frame of {width}x{height}: {path}",
            hint="X and Y are the left and top corner, W and H the size, all in pixels of the frame",
        )
    return box
