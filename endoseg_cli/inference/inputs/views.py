"""Which part of a video or picture the networks see: the endoscope's picture, a given box, or all of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from endoseg_cli.errors import InputError, MissingInputError, UsageError
from endoseg_cli.inference.inputs.sources import Source
from endoseg_cli.inference.predict.predictor import Pixels
from endoseg_cli.pictures.field_of_view import FieldOfView, find_field_of_view, parse_box
from endoseg_cli.pictures.images import read_image
from endoseg_cli.pictures.redaction import OUTSIDE, RedactConfig, Redaction
from endoseg_cli.video.reading.reader import VideoReader, probe
from endoseg_cli.video.reading.sequence import SequenceReader

ViewChoice = FieldOfView | Literal["auto", "off"]


def parse_view(text: str) -> ViewChoice:
    """Read auto, off or X,Y,W,H (pixels of the upright frame); raises UsageError for anything else."""
    if text == "auto":
        return "auto"
    if text == "off":
        return "off"
    box = parse_box(text)
    if box is not None:
        return box
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


def redaction_of_picture(
    redact: RedactConfig, choice: ViewChoice | None, image: Pixels, path: Path
) -> Redaction | None:
    """Return what is blanked in a still picture (H, W, 3), None for nothing; raises UsageError as `view_of_picture`.

    `choice` is what was asked for as field of view; it is looked for unless that is a box.
    """
    if not redact:
        return None
    return redact.of_picture(image, path, choice if isinstance(choice, FieldOfView) else None)


def redaction_of_video(
    redact: RedactConfig, choice: ViewChoice | None, reader: VideoReader | SequenceReader
) -> Redaction | None:
    """Return what is blanked in all frames of a video, None for nothing; raises UsageError as `view_of_video`.

    `choice` is what was asked for as field of view; what the networks see (`reader.crop`) is it, or else it is found.
    """
    if not redact:
        return None
    view = choice if isinstance(choice, FieldOfView) else reader.crop
    if redact.outside and view is None:
        view = reader.find_field_of_view()
    return redact.of(reader.info.upright_size, view, reader.info.path)


def check_redaction(redact: RedactConfig, sources: Sequence[Source]) -> None:
    """Raise UsageError for a box that leaves the frames of a video or of the first picture, before work is done.

    What cannot be read is left to those who read it, pictures after the first to be checked then; of what is piped in
    nothing is read here, and its field of view cannot be looked for, which is refused.
    """
    pictures = [source for source in sources if source.is_picture]
    for source in [source for source in sources if not source.is_picture] + pictures[:1]:
        path = source.pictures[0] if source.pictures else source.path
        if not path.is_file():
            if redact.outside:
                raise UsageError(
                    f"--redact {OUTSIDE} must look at the video twice, which a pipe does not allow: {path}",
                    hint="save it to a file first, or give --redact X,Y,W,H",
                )
            continue
        with suppress(InputError, MissingInputError):
            is_picture = bool(source.pictures) or source.is_picture
            height, width = read_image(path).shape[:2] if is_picture else probe(path).upright_size
            redact.check((height, width), path)


def _checked(box: FieldOfView, size: tuple[int, int], path: Path) -> FieldOfView:
    height, width = size
    if box.x + box.width > width or box.y + box.height > height:
        raise UsageError(
            f"--field-of-view {box.x},{box.y},{box.width},{box.height} leaves the frame of {width}x{height}: {path}",
            hint="X and Y are the left and top corner, W and H the size, all in pixels of the frame",
        )
    return box
