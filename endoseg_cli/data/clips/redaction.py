"""What --redact means for videos: boxes checked early, where the picture lies, and what a small frame must not show."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.errors import InputError, MissingInputError
from endoseg_cli.pictures.field_of_view import FieldOfView
from endoseg_cli.pictures.redaction import RedactConfig, Redaction
from endoseg_cli.video.reading.reader import VideoReader, probe
from endoseg_cli.video.reading.sequence import SequenceReader


def check_videos(redact: RedactConfig, videos: Sequence[Path]) -> None:
    """Raise UsageError for a box that leaves the frames of a video, before work is done.

    What cannot be read is left to those who do.
    """
    for path in videos:
        with suppress(InputError, MissingInputError):
            redact.check(probe(path).upright_size, path)


def redaction_in_video(
    reader: VideoReader | SequenceReader, redact: RedactConfig, view: FieldOfView | None = None
) -> Redaction:
    """Return what is blanked in all frames of a video.

    `view` is a box that was given for its picture; else both the box (unless the reader has it already, as `crop`) and
    the outline in it are looked for where that counts. Raises UsageError for a box that leaves the frames.
    """
    part = None
    if redact.outside and view is None:
        view = reader.crop or reader.find_field_of_view()
        part = None if view is None else reader.beginning.part
    return redact.of(reader.info.upright_size, view, reader.info.path, part)


def redaction_of(video: Path, redact: RedactConfig) -> Redaction:
    """Return what is blanked in all frames of a video file; raises what `VideoReader` and `redaction_in_video` do."""
    with VideoReader(video, threads=1) as reader:
        return redaction_in_video(reader, redact)


def hidden_in_video(reader: VideoReader, redact: RedactConfig, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Return where frames, cropped as the reader does and resized to `size`, must not be shown; None for nowhere."""
    if not redact:
        return None
    hidden = redaction_in_video(reader, redact).hidden
    return shrunk(hidden if reader.crop is None else reader.crop.crop(hidden), size)


def shrunk(hidden: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask (H, W) at another size, True wherever a resized picture may have got anything from the hidden."""
    near = np.ones((3, 3), np.uint8)
    wide = cv2.dilate(hidden.astype(np.uint8), near).astype(np.float32)
    small = cv2.resize(wide, (size[1], size[0]), interpolation=cv2.INTER_AREA) > 0
    return cv2.dilate(small.astype(np.uint8), near).astype(np.bool_)
