"""The one box of the endoscope's picture in a video, and its outline, from several of its frames."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from endoseg_cli.pictures.field_of_view import FieldOfView, believed_box, shrunk_frame
from endoseg_cli.pictures.visible_part import Part, common_part, visible_part
from endoseg_cli.video.geometry.rotation import Pixels

LOOKS_PER_SECOND = 2.0
"""How often a video's beginning is looked at."""
LOOKS = 20
"""Frames with a box that can be believed after which a video is known: ten seconds."""
LONGEST_LOOK = 60.0
"""Seconds after which looking ends, though most frames were dark."""


class Beginning:
    """What the frames at a video's beginning show of the endoscope's picture, each looked at once.

    Keeps those frames in which a box can be believed, shrunk, for the outline.
    """

    def __init__(self, looks: Iterable[tuple[float, Pixels]]) -> None:
        """Look at frames, given as (seconds since the beginning, (H, W, 3) RGB), until enough was seen."""
        self._boxes: list[FieldOfView] = []
        self._seen: list[Pixels] = []
        for seconds, picture in looks:
            if seconds > LONGEST_LOOK:
                break
            small = shrunk_frame(picture)
            box = believed_box(small, (picture.shape[0], picture.shape[1]))
            if box is not None:
                self._boxes.append(box)
                self._seen.append(small)
            if len(self._boxes) == LOOKS:
                break

    @property
    def view(self) -> FieldOfView | None:
        """The box that most of the frames agree on; None, for the whole frame, where no frame is bright enough.

        The median of each edge over the frames in which a box can be believed: a minority of dark or washed-out frames,
        or of title pages, moves nothing.
        """
        boxes = self._boxes
        if not boxes:
            return None
        left = statistics.median_low(box.x for box in boxes)
        top = statistics.median_low(box.y for box in boxes)
        right = statistics.median_high(box.x + box.width for box in boxes)
        bottom = statistics.median_high(box.y + box.height for box in boxes)
        return FieldOfView(x=left, y=top, width=right - left, height=bottom - top)

    @property
    def part(self) -> Part | None:
        """The outline that at least half of the frames of one size show, None where no frame is bright enough."""
        parts = [part for small in self._seen if (part := visible_part(small)) is not None]
        return common_part([part for part in parts if part.shape == parts[0].shape])
