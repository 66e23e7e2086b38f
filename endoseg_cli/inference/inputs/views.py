"""Which part of a video or picture the networks see: the endoscope's picture, a given box, or all of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from endoseg_cli.data.clips.redaction import check_videos, redaction_in_video
from endoseg_cli.data.labels.folder_names import is_pipe
from endoseg_cli.errors import UsageError
from endoseg_cli.inference.inputs.sources import Source
from endoseg_cli.inference.predict.predictor import Pixels
from endoseg_cli.pictures.field_of_view import FieldOfView, find_field_of_view, parse_box
from endoseg_cli.pictures.redaction import OUTSIDE, RedactConfig, Redaction
from endoseg_cli.video.reading.reader import VideoReader
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
    return redaction_in_video(reader, redact, choice if isinstance(choice, FieldOfView) else None)


def check_redaction(redact: RedactConfig, sources: Sequence[Source]) -> None:
    """Raise UsageError for a box that leaves the frames of a video or of the first picture, before work is done.

    Of what is piped in nothing is read here; its field of view cannot be looked for, which is refused.
    """
    videos = [source for source in sources if not source.is_picture and not source.pictures]
    if redact.outside and (piped := next((source.path for source in videos if is_pipe(source.path)), None)):
        raise UsageError(
            f"--redact {OUTSIDE} must look at the video twice, which a pipe does not allow: {piped}",
            hint="save it to a file first, or give --redact X,Y,W,H",
        )
    files = [source.path for source in videos if source.path.is_file()]
    sequences = [source.pictures[:1] for source in sources if source.pictures]
    stills = [source.path for source in sources if source.is_picture]
    for pictures in (*sequences, stills):
        redact.check_first(pictures)
    check_videos(redact, files)


def _checked(box: FieldOfView, size: tuple[int, int], path: Path) -> FieldOfView:
    height, width = size
    if box.x + box.width > width or box.y + box.height > height:
        raise UsageError(
            f"--field-of-view {box.x},{box.y},{box.width},{box.height} leaves the frame of {width}x{height}: {path}",
            hint="X and Y are the left and top corner, W and H the size, all in pixels of the frame",
        )
    return box
