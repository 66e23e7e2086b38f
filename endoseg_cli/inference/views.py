"""Which part of a video or picture the networks see: the endoscope's picture, a given box, or all of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from endoseg_cli.data.field_of_view import FieldOfView, believed_field_of_view, find_field_of_view
from endoseg_cli.errors import UsageError
from endoseg_cli.inference.predictor import Pixels
from endoseg_cli.video.info import VideoInfo
from endoseg_cli.video.reader import sample_frames

ViewChoice = FieldOfView | Literal["auto", "off"]
LOOKS_PER_SECOND = 2.0
"""How often a video's beginning is looked at."""
LOOKS = 20
"""Frames with a box that can be believed after which a video is known: ten seconds."""
LONGEST_LOOK = 60.0
"""Seconds after which looking ends, though most frames were dark."""


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


def view_of_video(choice: ViewChoice, info: VideoInfo, start: float | None) -> FieldOfView | None:
    """Return the one box of a video, None for all of it.

    For auto the frames from `start` on are looked at, by opening the file once more; what can be read once only, such
    as a pipe, is taken whole. Raises UsageError for a box that leaves the frame.
    """
    if choice == "off":
        return None
    if choice != "auto":
        return _checked(choice, info.upright_size, info.path)
    if not info.path.is_file():
        return None
    began = (start or 0.0) + info.first_time
    looks = sample_frames(info.path, LOOKS_PER_SECOND, start=start)
    return vote((time - began, picture) for _, time, picture in looks)


def vote(looks: Iterable[tuple[float, Pixels]]) -> FieldOfView | None:
    """Return the box that most of a video's frames agree on, given as (seconds since the beginning, (H, W, 3) RGB).

    The median of each edge over the frames in which a box can be believed: a minority of dark or washed-out frames, or
    of title pages, moves nothing. None, for the whole frame, where no frame is bright enough. Keeps no pictures.
    """
    boxes: list[FieldOfView] = []
    for seconds, picture in looks:
        if len(boxes) == LOOKS or seconds > LONGEST_LOOK:
            break
        box = believed_field_of_view(picture)
        if box is not None:
            boxes.append(box)
    if not boxes:
        return None
    left = statistics.median_low(box.x for box in boxes)
    top = statistics.median_low(box.y for box in boxes)
    right = statistics.median_high(box.x + box.width for box in boxes)
    bottom = statistics.median_high(box.y + box.height for box in boxes)
    return FieldOfView(x=left, y=top, width=right - left, height=bottom - top)


def _checked(box: FieldOfView, size: tuple[int, int], path: Path) -> FieldOfView:
    height, width = size
    if box.x + box.width > width or box.y + box.height > height:
        raise UsageError(
            f"--field-of-view {box.x},{box.y},{box.width},{box.height} leaves the frame of {width}x{height}: {path}",
            hint="X and Y are the left and top corner, W and H the size, all in pixels of the frame",
        )
    return box
