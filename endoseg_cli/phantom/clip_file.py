"""RGB frames become an H.264 file that plays anywhere."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from endoseg_cli.phantom.picture.render import Bytes
from endoseg_cli.video.geometry.colour import BT709, ColourTags
from endoseg_cli.video.geometry.planes import Planes
from endoseg_cli.video.reading.info import VideoInfo, describe_pictures
from endoseg_cli.video.writing.writer import OverlayWriter

_COLOUR = ColourTags(matrix=BT709, primaries=BT709, transfer=BT709, full_range=False)
# Rows give Y, Cb, Cr of BT.709 in limited range for R, G, B of 0..255.
_MATRIX = np.asarray(
    [
        (0.2126 * 219, 0.7152 * 219, 0.0722 * 219),
        (-0.2126 / 1.8556 * 224, -0.7152 / 1.8556 * 224, 0.5 * 224),
        (0.5 * 224, -0.7152 / 1.5748 * 224, -0.0722 / 1.5748 * 224),
    ],
    np.float32,
) / np.float32(255)


class ClipFile:
    """Writes RGB frames of one size at a constant rate; a context manager that leaves no half-written file."""

    def __init__(self, path: Path, size: tuple[int, int], rate: Fraction, *, overwrite: bool) -> None:
        """Open `path` (.mp4) for frames of `size` (height, width); raises OutputError if it cannot be written."""
        self._writer = OverlayWriter(path, _info(path, size, rate), overwrite=overwrite, crf=21, audio=False, threads=1)
        self._index = 0

    def __enter__(self) -> ClipFile:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._writer.finish()
        else:
            self._writer.abort()

    def write(self, picture: Bytes) -> None:
        """Append a frame (H, W, 3) uint8, red first."""
        self.write_planes(to_planes(picture))

    def write_planes(self, planes: Planes) -> None:
        """Append a frame that `to_planes` converted."""
        self._writer.write(planes, self._index)
        self._index += 1


def to_planes(picture: Bytes) -> Planes:
    """Convert a picture (H, W, 3) uint8, red first, to limited-range BT.709 4:2:0; odd sides repeat their edge."""
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    y, u, v = np.moveaxis(padded.astype(np.float32) @ _MATRIX.T + np.asarray((16, 128, 128), np.float32), -1, 0)
    half = (padded.shape[1] // 2, padded.shape[0] // 2)
    small_u, small_v = (cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (u, v))
    return Planes(y=_rounded(y), u=_rounded(np.asarray(small_u)), v=_rounded(np.asarray(small_v)), colour=_COLOUR)


def _rounded(plane: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Bytes:
    return np.round(plane).astype(np.uint8)


def _info(path: Path, size: tuple[int, int], rate: Fraction) -> VideoInfo:
    """What a source of these frames would say about itself."""
    info = describe_pictures(path.with_suffix(".phantom"), size, rate=rate, time_base=1 / rate)
    return replace(info, pixel_format="yuv420p", colour=_COLOUR)
