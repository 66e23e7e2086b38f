"""From a decoded frame to the small upright RGB picture for the network and the planes for the overlay."""

from __future__ import annotations

import av
from av.video.reformatter import ColorRange, VideoReformatter

from endoseg_cli.video.geometry.colour import RGB, ColourTags, tags_of
from endoseg_cli.video.geometry.planes import Planes, from_frame, plane_view
from endoseg_cli.video.geometry.rotation import Pixels, quarter_turns, upright


class PictureConverter:
    """Converts the frames of one video; use one per thread, and never convert one frame in two threads.

    swscale edits the frame it reads while it works (PyAV 18), hence the rule. Each kind of conversion keeps its own
    swscale context with a single thread: PyAV's default makes a pool of threads per frame.
    """

    def __init__(self, *, width: int, height: int, rotation: int, fallback: ColourTags) -> None:
        self._width, self._height, self._rotation = width, height, rotation
        self._fallback = fallback
        self._rgb = VideoReformatter()
        self._yuv = VideoReformatter()

    def rgb(self, frame: av.VideoFrame, size: tuple[int, int] | None = None, *, owned: bool = True) -> Pixels:
        """Convert to an upright RGB picture, (H, W, 3) uint8, contiguous and owned; else it may be one to look at only.

        `size` is the upright (height, width); None keeps the video's own. Scaling uses area averaging, which on real
        clips is closer to cv2.INTER_AREA (as used on training pictures) than swscale's bilinear: mean difference 1.0
        to 1.1 grey levels against 1.3 to 1.5 at 256 x 256, 99th percentile 4 to 6 against 9 to 10.
        """
        width, height = self._stored_size(size)
        scaled = (width, height) != (frame.width, frame.height)
        picture = self._rgb.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            src_colorspace=self._matrix(frame),
            src_color_range=_range(frame),
            interpolation="AREA" if scaled else "BILINEAR",
            threads=1,
        )
        return upright(_pixels(picture), self._rotation) if owned or self._rotation else _pixels(picture)

    def planes(self, frame: av.VideoFrame) -> Planes:
        """Convert to 8-bit limited-range YUV 4:2:0; a frame that is so already is copied bit for bit.

        YUV keeps its matrix (BT.601, BT.709, BT.2020), RGB becomes BT.709.
        """
        source = tags_of(frame)
        colour = self._filled(source).resolved(self._height)
        same_size = (frame.width, frame.height) == (self._width, self._height)
        if frame.format.name == "yuv420p" and not source.full_range and same_size:
            return from_frame(frame, colour)
        picture = self._yuv.reformat(
            frame,
            width=self._width,
            height=self._height,
            format="yuv420p",
            src_colorspace=self._matrix(frame),
            dst_colorspace=colour.swscale_matrix,
            src_color_range=_range(frame),
            dst_color_range=ColorRange.MPEG,
            interpolation="BICUBIC",
            threads=1,
        )
        return from_frame(picture, colour)

    def _stored_size(self, size: tuple[int, int] | None) -> tuple[int, int]:
        if size is None:
            return self._width, self._height
        height, width = size
        return (height, width) if quarter_turns(self._rotation) % 2 else (width, height)

    def _filled(self, tags: ColourTags) -> ColourTags:
        """Take the stream's tags where a frame has none (some filters and codecs lose them)."""
        return self._fallback if tags.matrix == 2 else tags

    def _matrix(self, frame: av.VideoFrame) -> int | None:
        tags = self._filled(tags_of(frame))
        return None if tags.matrix == RGB else tags.resolved(self._height).swscale_matrix


def _range(frame: av.VideoFrame) -> int | None:
    """Name the range where the pixel format says it and the tag does not; None leaves swscale's own rule."""
    return ColorRange.JPEG if tags_of(frame).full_range else None


def _pixels(picture: av.VideoFrame) -> Pixels:
    """Look at an rgb24 frame as (H, W, 3) without copying."""
    return plane_view(picture.planes[0], bytes_per_pixel=3).reshape(picture.height, picture.width, 3)
