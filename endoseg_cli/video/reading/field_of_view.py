"""The one box of the endoscope's picture in a video, from several of its frames."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from endoseg_cli.pictures.field_of_view import FieldOfView, believed_field_of_view
from endoseg_cli.video.geometry.rotation import Pixels

LOOKS_PER_SECOND = 2.0
"""How often a video's beginning is looked at."""
LOOKS = 20
"""Frames with a box that can be believed after which a video is known: ten seconds."""
LONGEST_LOOK = 60.0
"""Seconds after which looking ends, though most frames were dark."""


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
