"""How the output videos are encoded: settings, checked against what the encoder knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.video.stream import VideoStream

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.video.geometry.budget import threads_within
from endoseg_cli.video.geometry.colour import ColourTags
from endoseg_cli.video.geometry.rotation import is_mirrored, quarter_turns
from endoseg_cli.video.reading.info import VideoInfo

# A fragment a second with its packets written at once: a file cut off by a crash plays up to its last second. On
# closing it becomes an ordinary mp4. Without delay_moov the start offset of the timestamps would be lost.
_FRAGMENTED = {"movflags": "hybrid_fragmented+delay_moov", "frag_duration": "1000000", "flush_packets": "1"}
_CLUSTERED = {"cluster_time_limit": "1000", "flush_packets": "1"}
_KEY_FRAME_SECONDS = 2
_PLAUSIBLE_RATE = (Fraction(1), Fraction(300))


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """One encoder and its options."""

    codec: str
    """FFmpeg's name of the encoder, such as `libx264`."""
    pixel_format: str
    """FFmpeg's name of the pixel format."""
    width: int
    """Encoded width in pixels."""
    height: int
    """Encoded height in pixels."""
    colour: ColourTags
    """Tags written into the file."""
    options: dict[str, str] = field(default_factory=dict)
    """The encoder's own options."""
    key_frame_every: int | None = None
    """Frames from one key frame to the next; None for one every two seconds."""
    threads: int = 0
    """Encoder threads, 0 for one per core, fewer for large frames."""

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise UsageError(f"expected 0 or more encoder threads, found {self.threads}")


def open_output(path: Path, container: str, time_base: Fraction) -> OutputContainer:
    """Open a container for writing under any file name; the file itself appears with the first packet."""
    # The start offset of an mp4 is kept in this unit, which otherwise is a millisecond.
    fragmented = {**_FRAGMENTED, "movie_timescale": str(time_base.denominator)}
    options = dict(_CLUSTERED) if container == "matroska" else fragmented
    return av.open(str(path.absolute()), mode="w", format=container, container_options=options)


def add_video_stream(output: OutputContainer, settings: EncoderSettings, info: VideoInfo) -> VideoStream:
    """Add a video stream that keeps the input's time base, rotation and pixel shape.

    Raises OutputError if this FFmpeg lacks the encoder, and UsageError for an option that the encoder does not know
    (FFmpeg itself would ignore it).
    """
    _check_options(settings)
    rate = _plausible_rate(info)
    stream: VideoStream = output.add_stream(settings.codec, rate=rate, options=dict(settings.options))  # type: ignore[assignment]
    context = stream.codec_context
    context.width, context.height = settings.width, settings.height
    context.pix_fmt = settings.pixel_format
    context.time_base = stream.time_base = info.time_base
    context.gop_size = settings.key_frame_every or max(10, round(rate * _KEY_FRAME_SECONDS))
    # Reordered frames would start a Matroska file late and make a cut-off file lose more.
    context.max_b_frames = 0
    context.thread_count = threads_within(settings.width, settings.height, settings.threads)
    context.colorspace, context.color_primaries = settings.colour.matrix, settings.colour.primaries
    context.color_trc = settings.colour.transfer
    context.color_range = 2 if settings.colour.full_range else 1
    if info.sample_aspect_ratio:
        context.sample_aspect_ratio = info.sample_aspect_ratio
    if info.rotation:
        stream.set_display_rotation(quarter_turns(info.rotation) * 90, hflip=is_mirrored(info.rotation))
    return stream


def _plausible_rate(info: VideoInfo) -> Fraction:
    """Return a rate for the encoder's own planning; timestamps do not depend on it."""
    low, high = _PLAUSIBLE_RATE
    rate = info.average_rate or Fraction(25)
    return rate if low <= rate <= high else Fraction(25)


def _check_options(settings: EncoderSettings) -> None:
    try:
        Codec(settings.codec, "w")
    except UnknownCodecError:
        raise OutputError(
            f"this installation of PyAV has no encoder '{settings.codec}'",
            hint="install PyAV from PyPI (pip install --force-reinstall av), whose wheels contain it",
        ) from None
    known = av.CodecContext.create(settings.codec, "w").supported_options
    names = {option.name for option in (*known.generic, *known.private)}
    unknown = sorted(set(settings.options) - names)
    if unknown:
        raise UsageError(f"the encoder {settings.codec} has no option '{unknown[0]}'")
