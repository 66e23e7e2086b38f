"""Small videos rendered with PyAV, each with one peculiarity of the files that users have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What to render."""

    name: str
    container: str | None = None
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    size: tuple[int, int] = (48, 64)
    frames: int = 12
    pts: Sequence[int] | None = None
    time_base: Fraction = Fraction(1, 25)
    rotation: int = 0
    pixel_shape: Fraction | None = None
    matrix: int | None = None
    full_range: bool = False
    interlaced: bool = False
    audio: str | None = None
    audio_seconds: float = 0.5
    picture: Callable[[int, tuple[int, int]], Picture] | None = None
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)


def level(index: int) -> int:
    """Grey level of frame `index`, which tells it from its neighbours."""
    return 30 + (index * 37) % 190


def grey(index: int, size: tuple[int, int]) -> Picture:
    """A flat RGB picture with the grey level of its index."""
    return np.full((*size, 3), level(index), np.uint8)


def _encoded_frame(clip: Clip, index: int) -> av.VideoFrame:
    rgb = (clip.picture or grey)(index, clip.size)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24").reformat(
        format=clip.pixel_format,
        dst_colorspace=clip.matrix or 5,
        dst_color_range=2 if clip.full_range else 1,
    )
    return _marked_interlaced(frame) if clip.interlaced else frame


def _marked_interlaced(frame: av.VideoFrame) -> av.VideoFrame:
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("setfield", "mode=tff"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def _add_sound(output: av.container.OutputContainer, codec: str, seconds: float) -> None:
    stream = output.add_stream(codec, rate=48000)
    assert isinstance(stream, av.AudioStream)
    stream.layout = "mono"
    samples = (np.sin(np.arange(int(48000 * seconds)) / 20) * 9000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = 48000
    frame.pts = 0
    resampler = av.AudioResampler(stream.format, "mono", 48000, frame_size=stream.codec_context.frame_size or None)
    for part in (*resampler.resample(frame), *resampler.resample(None), None):
        output.mux(stream.encode(part))


def render_clip(folder: Path, clip: Clip) -> Path:
    """Encode a clip into a folder and return its path."""
    path = folder / clip.name
    options = dict(clip.options) | ({"flags": "+ildct+ilme"} if clip.interlaced else {})
    with av.open(str(path), "w", format=clip.container, container_options=dict(clip.container_options)) as output:
        stream = output.add_stream(clip.codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.height, context.width = clip.size
        context.pix_fmt = clip.pixel_format
        context.thread_count = 1
        context.time_base = stream.time_base = clip.time_base
        if clip.matrix is not None:
            context.colorspace = clip.matrix
        if clip.full_range:
            context.color_range = 2
        if clip.pixel_shape:
            context.sample_aspect_ratio = clip.pixel_shape
        if clip.rotation:
            stream.set_display_rotation(clip.rotation % 360, hflip=clip.rotation >= 360)
        packets = []
        for index in range(clip.frames):
            frame = _encoded_frame(clip, index)
            frame.pts = clip.pts[index] if clip.pts is not None else index
            frame.time_base = clip.time_base
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if clip.audio:
            _add_sound(output, clip.audio, clip.audio_seconds)
        output.mux(packets)
    return path
