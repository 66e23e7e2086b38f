"""Write RGB pictures as an H.264 video that browsers play."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from endoseg_cli.part_file import FinishOrAbort
from endoseg_cli.video.geometry.colour import BT709, RGB, ColourTags
from endoseg_cli.video.geometry.rotation import Pixels
from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.reading.reader import converter_for
from endoseg_cli.video.writing.writer import OverlayWriter

TICKS_PER_SECOND = 90_000


class PictureWriter(FinishOrAbort):
    """Writes upright RGB pictures of one size at given seconds, as `OverlayWriter` does planes of a video."""

    def __init__(self, path: Path, size: tuple[int, int], *, overwrite: bool = False) -> None:
        """Open `path` for pictures of `size` = (height, width); raises what OverlayWriter raises."""
        info = VideoInfo(
            path=path,
            container="image2",
            codec="pictures",
            width=size[1],
            height=size[0],
            rotation=0,
            sample_aspect_ratio=None,
            average_rate=None,
            time_base=Fraction(1, TICKS_PER_SECOND),
            first_pts=0,
            duration=None,
            estimated_frames=None,
            pixel_format="rgb24",
            bit_depth=8,
            interlaced=False,
            has_audio=False,
            colour=ColourTags(matrix=RGB, primaries=BT709, transfer=BT709, full_range=True),
        )
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
