"""The video encoder of a GPU, where a trial on this machine shows that it works, keeps the picture, and wins."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext

from endoseg_cli.errors import EndosegError
from endoseg_cli.user_cache import keep_measured, read_measured, user_cache
from endoseg_cli.video.geometry.planes import fill, plane_view
from endoseg_cli.video.geometry.rotation import Pixels
from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.writing.encoder import EncoderSettings, add_video_stream, open_output

GPU_CODEC = "h264_nvenc"
GPU_OPTIONS = {"preset": "p4", "rc": "constqp", "delay": "0"}
QUALITIES = (22, 19, 16)
"""Quantisers to try, the smallest file first."""
FRAMES = 24
"""Frames of a trial; the first is not timed, as the encoder starts with it."""
MOST_LOSS = 0.3
"""By how many decibels a GPU's picture may be worse."""
LEAST_GAIN = 1.25
"""How many times as fast a GPU must be."""
_STEP = 512
"""Ticks from one frame of a trial to the next."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What became of a trial's frames."""

    seconds: float
    """For all frames but the first."""
    psnr: float
    """Of the luma, in decibels, over all frames."""


def faster_on_gpu(plain: EncoderSettings, info: VideoInfo, gpu: str) -> EncoderSettings:
    """Return settings of the encoder of `gpu`, the name of one of this machine, where it wins against x264's `plain`.

    By a trial of some frames, once for each GPU and size, kept in the user's cache; whatever fails in it, or an encoder
    that is not free now, leaves `plain`.
    """
    key = f"{gpu} {GPU_CODEC} {plain.width}x{plain.height} {sorted(plain.options.items())} PyAV {av.__version__}"
    known = _read()
    if key not in known:
        known[key] = _best_quality(plain, info)
        keep_measured(_file(), known)
    quality = known[key]
    if quality is None:
        return plain
    settings = _on_gpu(plain, quality)
    return settings if _opens(settings) else plain


def _best_quality(plain: EncoderSettings, info: VideoInfo) -> int | None:
    """Return the largest quantiser with which the GPU keeps as much and is faster; None if there is none."""
    frames = list(_frames(plain.width, plain.height))
    expected = _tried(plain, info, frames)
    for quality in QUALITIES:
        found = _tried(_on_gpu(plain, quality), info, frames)
        if expected is None or found is None or found.seconds * LEAST_GAIN > expected.seconds:
            return None
        if found.psnr >= expected.psnr - MOST_LOSS:
            return quality
    return None


def _on_gpu(plain: EncoderSettings, quality: int) -> EncoderSettings:
    return replace(plain, codec=GPU_CODEC, options={**GPU_OPTIONS, "qp": str(quality)})


def _opens(settings: EncoderSettings) -> bool:
    """Whether the encoder can be had now: GPUs serve a few videos at a time."""
    try:
        encoder = cast("VideoCodecContext", av.CodecContext.create(settings.codec, "w"))
        encoder.width, encoder.height, encoder.pix_fmt = settings.width, settings.height, settings.pixel_format
        encoder.time_base, encoder.options = Fraction(1, 25), dict(settings.options)
        encoder.open()
    except (av.error.FFmpegError, OSError, ValueError):
        return False
    return True


def _tried(settings: EncoderSettings, info: VideoInfo, frames: Sequence[Pixels]) -> Trial | None:
    """Encode and decode; None where either fails, or a frame or its time is lost."""
    with TemporaryDirectory(prefix="endoseg-") as folder:
        path = Path(folder) / "trial.mp4"
        try:
            seconds = _encode(settings, info, frames, path)
            with av.open(str(path)) as container:
                pairs = zip(container.decode(video=0), frames, strict=True)
                decoded = [(frame.pts, _error(frame, luma)) for frame, luma in pairs]
        except (av.error.FFmpegError, EndosegError, OSError, ValueError):
            return None
    times = [pts for pts, _ in decoded]
    if any(pts is None for pts in times) or not _is_even(times):
        return None
    error = max(float(np.mean([each for _, each in decoded])), 1e-6)
    return Trial(seconds=seconds, psnr=float(10 * np.log10(255**2 / error)))


def _error(decoded: av.VideoFrame, luma: Pixels) -> float:
    """Return the mean squared error of a decoded frame's luma."""
    return float(np.square(cv2.subtract(plane_view(decoded.planes[0]), luma, dtype=cv2.CV_32F)).mean())


def _is_even(times: Sequence[Any]) -> bool:
    steps = {later - earlier for earlier, later in pairwise(times)}
    return len(steps) == 1 and min(steps) > 0


def _encode(settings: EncoderSettings, info: VideoInfo, frames: Sequence[Pixels], path: Path) -> float:
    time_base = Fraction(1, 25 * _STEP)
    info = replace(info, time_base=time_base, average_rate=Fraction(25), rotation=0)
    began = 0.0
    with open_output(path, "mp4", time_base) as output:
        stream = add_video_stream(output, settings, info)
        for number, luma in enumerate(frames):
            picture = av.VideoFrame(settings.width, settings.height, settings.pixel_format)
            fill(picture, luma, luma[::2, ::2], 255 - luma[::2, ::2])
            picture.pts, picture.time_base = number * _STEP, time_base
            output.mux(stream.encode(picture))
            if number == 0:
                began = time.perf_counter()
        output.mux(stream.encode(None))
        return time.perf_counter() - began


def _frames(width: int, height: int) -> Iterator[Pixels]:
    """Yield lumas (h, w) of tissue's kind, coarse and fine, that move and flicker."""
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 25, (height, width + 4 * FRAMES), np.uint8)
    grid = rng.integers(30, 200, (8, 12), np.uint8)
    coarse = cv2.resize(grid, (width + 4 * FRAMES, height), interpolation=cv2.INTER_CUBIC)
    for number in range(FRAMES):
        part = slice(4 * number, 4 * number + width)
        yield np.asarray(cv2.add(coarse[:, part], cv2.GaussianBlur(fine[:, part], (3, 3), 0)), np.uint8)


def _file() -> Path:
    return user_cache("runtimes") / "encoders.json"


def _read() -> dict[str, int | None]:
    """Return what was found before; a file that cannot be read holds nothing."""
    found = read_measured(_file())
    return {key: quality for key, quality in found.items() if quality is None or quality in QUALITIES}
