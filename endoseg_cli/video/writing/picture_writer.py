"""Write RGB pictures as an H.264 video that browsers play."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from endoseg_cli.part_file import FinishOrAbort
from endoseg_cli.video.geometry.rotation import Pixels
from endoseg_cli.video.reading.info import describe_pictures
from endoseg_cli.video.reading.reader import converter_for
from endoseg_cli.video.writing.writer import OverlayWriter

TICKS_PER_SECOND = 90_000


class PictureWriter(FinishOrAbort):
    """Writes upright RGB pictures of one size at given seconds, as `OverlayWriter` does planes of a video."""

    def __init__(self, path: Path, size: tuple[int, int], *, overwrite: bool = False) -> None:
        """Open `path` for pictures of `size` = (height, width); raises what OverlayWriter raises."""
        info = describe_pictures(path, size, rate=None, time_base=Fraction(1, TICKS_PER_SECOND))
        self._converter = converter_for(info)
        self._writer = OverlayWriter(path, info, overwrite=overwrite)

    def write(self, picture: Pixels, seconds: float) -> None:
        """Append a picture (height, width, 3)."""
        planes = self._converter.planes(av.VideoFrame.from_ndarray(picture, "rgb24"))
        self._writer.write(planes, round(seconds * TICKS_PER_SECOND))

    def finish(self) -> None:
        """Give the video its final name; raises OutputError."""
        self._writer.finish()

    def abort(self) -> None:
        """Close the part file and remove it: half an overlay of an evaluation is of no use."""
        self._writer.abort()
        self._writer.part.unlink(missing_ok=True)
