"""What a video file says about itself and its first frame shows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from endoseg_cli.errors import InputError
from endoseg_cli.video.geometry.colour import BT709, RGB, ColourTags, tags_of
from endoseg_cli.video.geometry.rotation import quarter_turns, turn_of

MOST_PIXELS = 1 << 26
"""Pixels of the largest frame, twice those of 8K."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Properties of the video in a file; sizes are as stored, before rotation."""

    path: Path
    """The file."""
    container: str
    """FFmpeg's name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`."""
    codec: str
    """FFmpeg's name of the codec, such as `h264`."""
    width: int
    """Stored width in pixels."""
    height: int
    """Stored height in pixels."""
    rotation: int
    """Degrees counter-clockwise that make the stored picture upright: 0, 90, 180 or 270, and 360 more where it is then
    mirrored (see video.rotation)."""
    sample_aspect_ratio: Fraction | None
    """Width of a pixel over its height; None if unknown (square)."""
    average_rate: Fraction | None
    """Frames per second on average; None if unknown."""
    time_base: Fraction
    """Seconds per tick of the timestamps."""
    first_pts: int
    """Timestamp of the first frame in ticks; not always 0."""
    duration: float | None
    """Seconds, from the file's header; None if it does not say."""
    estimated_frames: int | None
    """Duration times rate: right for a progress bar, not for an array."""
    pixel_format: str
    """FFmpeg's name of the pixel format, such as `yuv420p10le`."""
    bit_depth: int
    """Bits per sample."""
    interlaced: bool
    """Whether the first frame is interlaced."""
    has_audio: bool
    """Whether the file has sound."""
    colour: ColourTags
    """Colour tags of the first frame, as found."""

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width of the picture as a viewer sees it."""
        turned = quarter_turns(self.rotation) % 2
        return (self.width, self.height) if turned else (self.height, self.width)

    @property
    def first_time(self) -> float:
        """Time of the first frame in seconds."""
        return float(self.first_pts * self.time_base)


def describe_pictures(
    path: Path, size: tuple[int, int], *, rate: Fraction | None, time_base: Fraction, count: int | None = None
) -> VideoInfo:
    """Return what a video of RGB pictures of one `size` = (height, width) would say about itself."""
    return VideoInfo(
        path=path,
        container="image2",
        codec="pictures",
        width=size[1],
        height=size[0],
        rotation=0,
        sample_aspect_ratio=None,
        average_rate=rate,
        time_base=time_base,
        first_pts=0,
        duration=float(count / rate) if count is not None and rate else None,
        estimated_frames=count,
        pixel_format="rgb24",
        bit_depth=8,
        interlaced=False,
        has_audio=False,
        colour=ColourTags(matrix=RGB, primaries=BT709, transfer=BT709, full_range=True),
    )


def describe(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    first: av.VideoFrame,
    *,
    first_pts: int,
    interlaced: bool,
) -> VideoInfo:
    """Collect the properties from the opened file and its first decoded frame."""
    if first.width * first.height > MOST_PIXELS:
        found = f"{first.width}x{first.height}"
        raise InputError(
            f"expected frames of at most {MOST_PIXELS // 10**6} million pixels, found {found}: {path}",
            hint="scale the video down, for example with ffmpeg",
        )
    rate = stream.average_rate or stream.guessed_rate
    duration = header_seconds(container, stream)
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        width=first.width,
        height=first.height,
        rotation=turn_of(first),
        sample_aspect_ratio=stream.sample_aspect_ratio or None,
        average_rate=rate or None,
        time_base=time_base_of(stream),
        first_pts=first_pts,
        duration=duration,
        estimated_frames=round(duration * rate) if duration and rate else None,
        pixel_format=first.format.name,
        bit_depth=max((component.bits for component in first.format.components), default=8),
        interlaced=interlaced,
        has_audio=bool(container.streams.audio),
        colour=tags_of(first),
    )


def time_base_of(stream: VideoStream) -> Fraction:
    """Return the seconds per tick of a stream's timestamps."""
    return stream.time_base or Fraction(1, 1000)


def header_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Return how long a stream is, as far as the file says."""
    if stream.duration:
        return float(stream.duration * time_base_of(stream))
    if not container.duration:
        return None
    seconds = container.duration / av.time_base
    # Matroska's duration counts from 0, not from the first frame.
    return (
        seconds - max(0.0, (container.start_time or 0) / av.time_base)
        if "matroska" in container.format.name
        else seconds
    )
