"""Which parts of pictures are blanked before anybody sees them: names and dates that are burnt in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.errors import InputError, MissingInputError, UsageError
from endoseg_cli.pictures.field_of_view import FieldOfView, believed_field_of_view, parse_box
from endoseg_cli.pictures.images import read_image
from endoseg_cli.pictures.visible_part import Part, enlarged, visible_part

OUTSIDE = "outside-field-of-view"
"""What --redact calls all that lies around the endoscope's picture."""

LOOK_FIRST = (
    f"--redact {OUTSIDE}: look at the pictures before you share them; text that touches the endoscope's picture, and"
    " coloured panels beside it, may be taken for part of it: give them boxes, --redact X,Y,W,H"
)
"""What cannot be promised, as it is told with every job."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Redaction:
    """What is blanked in pictures of one size."""

    hidden: NDArray[np.bool_]
    """(H, W), True where the upright picture is blanked."""
    warning: str = ""
    """What a person should know of it; mostly empty."""

    def blanked(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a copy of a picture (H, W, 3) that is black there."""
        shown = picture.copy()
        shown[self.hidden] = 0
        return shown


@dataclass(frozen=True, kw_only=True)
class RedactConfig:
    """What --redact asks for."""

    boxes: tuple[FieldOfView, ...] = ()
    """Boxes that are blanked, in pixels of the upright frame."""
    outside: bool = False
    """Blank what lies outside the endoscope's picture."""

    def __bool__(self) -> bool:
        return self.outside or bool(self.boxes)

    def check(self, size: tuple[int, int], path: Path) -> None:
        """Raise UsageError for a box that leaves a frame of `size` = (height, width)."""
        height, width = size
        for box in self.boxes:
            if box.x + box.width > width or box.y + box.height > height:
                raise UsageError(
                    f"--redact {box.x},{box.y},{box.width},{box.height} leaves the frame of {width}x{height}: {path}",
                    hint="X and Y are the left and top corner, W and H the size, all in pixels of the upright frame",
                )

    def check_first(self, pictures: Sequence[Path]) -> None:
        """Check the size of the first picture, before work is done; the others are checked when they are read.

        One that cannot be read is left to those who do. Raises UsageError as `check`.
        """
        for path in pictures[:1]:
            with suppress(InputError, MissingInputError):
                image = read_image(path)
                self.check((image.shape[0], image.shape[1]), path)

    def of(self, size: tuple[int, int], view: FieldOfView | None, path: Path, part: Part | None = None) -> Redaction:
        """Return what is blanked in frames of `size` whose picture lies in `view`, None where it was not found.

        Then nothing is known to be safe to show, and with `outside` all is blanked. `part` is the outline of the
        picture inside the box, where it is known. Raises UsageError as `check`.
        """
        self.check(size, path)
        hidden = np.zeros(size, np.bool_)
        warning = ""
        if self.outside:
            hidden[:] = True
            if view is None:
                warning = "the endoscope's picture was not found, so the whole frame is blanked"
            else:
                view.crop(hidden)[:] = False
                if part is not None:
                    hidden |= ~enlarged(part, size)
                if not hidden.any():
                    warning = f"--redact {OUTSIDE} blanks nothing: the endoscope's picture fills the frame"
        for box in self.boxes:
            box.crop(hidden)[:] = True
        return Redaction(hidden=hidden, warning=warning)

    def of_picture(self, image: NDArray[np.uint8], path: Path, view: FieldOfView | None = None) -> Redaction:
        """Return what is blanked in a still picture (H, W, 3), whose `view` is looked for unless it is given."""
        part = None
        if self.outside and view is None:
            view, part = believed_field_of_view(image), visible_part(image)
        return self.of((image.shape[0], image.shape[1]), view, path, part)

    def blanked(self, image: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
        """Return a still picture (H, W, 3) as it may be shown: itself where nothing is asked for, else a copy."""
        return self.of_picture(image, path).blanked(image) if self else image


NOTHING = RedactConfig()
"""Blanks nothing."""


def parse_redact(texts: Sequence[str]) -> RedactConfig:
    """Read outside-field-of-view and X,Y,W,H, any number of them; raises UsageError for anything else."""
    boxes = []
    for text in texts:
        if text == OUTSIDE:
            continue
        box = parse_box(text)
        if box is None:
            raise UsageError(
                f"--redact must be {OUTSIDE} or X,Y,W,H, found {text}", hint="in pixels, for example 0,0,400,60"
            )
        boxes.append(box)
    return RedactConfig(boxes=tuple(boxes), outside=OUTSIDE in texts)


def contradiction() -> UsageError:
    """Return the error for blanked pictures whose files still tell who is on them."""
    return UsageError(
        "--keep-metadata cannot go with --redact: titles and dates would tell what is blanked",
        hint="leave one of them out",
    )
