"""Write mask and overlay videos with the input's timestamps, whole or, after a crash, up to the last second."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import numpy as np

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.part_file import Claim, FinishOrAbort, publish
from endoseg_cli.video.geometry.budget import frames_within
from endoseg_cli.video.geometry.colour import BT709, ColourTags
from endoseg_cli.video.geometry.planes import Planes, even, fill
from endoseg_cli.video.geometry.rotation import Pixels, stored
from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.writing.audio import AudioCopy
from endoseg_cli.video.writing.encoder import EncoderSettings, add_video_stream, open_output
from endoseg_cli.video.writing.hardware import faster_on_gpu
from endoseg_cli.video.writing.tags import Tags, read_tags
from endoseg_cli.video.writing.target import check_target, container_for

_BLACK, _WHITE, _GREY = np.uint8(16), np.uint8(235), 128  # limited-range luma, and chroma without colour
_MOST_LOOKED_AHEAD = 10
_MATROSKA_TICKS = 1000
"""Ticks of Matroska's clock in a second: no more frames can have different times."""
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


class _VideoWriter(FinishOrAbort):
    """What both writers share: the part file, the timestamps, the end.

    Writes `<path>.part` and gives it its final name in `finish`. A context manager: leaving it finishes, or, after
    an exception, aborts. May be made in one thread and used in another, but by one at a time.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        settings: EncoderSettings,
        *,
        overwrite: bool,
        origin_pts: int,
        keep_metadata: bool,
    ) -> None:
        check_target(path, source=info.path, overwrite=overwrite)
        _check_rate(path, info)
        self.path = path
        self._claim = Claim(path)
        self.part = self._claim.part
        """Where the video is until it is complete; playable at any time."""
        self.warnings: list[str] = []
        """What the output lacks compared to the input, one sentence each."""
        self.padded = (settings.width, settings.height) != (info.width, info.height)
        """Whether a row or column was added, because the codec needs even sides."""
        self.frames_written = 0
        """How many frames were handed in so far."""
        self._info, self._settings = info, settings
        self._origin = origin_pts
        self._closed = False
        self._durations: dict[int, int] = {}
        try:
            with self._errors():
                self._output = open_output(self.part, container_for(path), info.time_base)
                self._stream = add_video_stream(self._output, settings, info)
            self._tags = read_tags(info.path) if keep_metadata else Tags()
            self._tags.tell(self._output, self._stream)
        except BaseException:
            self._claim.release()
            self.part.unlink(missing_ok=True)
            raise
        self._audio: AudioCopy | None = None

    def finish(self) -> None:
        """Write what is still waiting and give the file its final name; raises OutputError if that fails.

        Calling it again, or after `abort`, does nothing.
        """
        if self._closed:
            return
        try:
            if self.frames_written == 0:
                raise OutputError(f"no frame was written to {self.part}", hint="check that the input has frames")
            with self._errors():
                self._mux(None)
                if self._audio is not None:
                    self._audio.copy_until(math.inf, origin=self._origin * self._info.time_base)
                self._close()
                publish(self.part, self.path)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Close the part file so that it plays up to here, and leave it; a file without any frame is removed."""
        if self._closed:
            return
        with suppress(av.error.FFmpegError, OSError, ValueError):
            self._mux(None)
        with suppress(av.error.FFmpegError, OSError, ValueError):
            self._close()
        if self.frames_written == 0:
            self.part.unlink(missing_ok=True)

    def _close(self) -> None:
        self._closed = True
        if self._audio is not None:
            self.warnings += self._audio.warnings
            self._audio.close()
        try:
            self._output.close()
        finally:
            self._claim.release()

    def _mux(self, picture: av.VideoFrame | None) -> None:
        """Encode a picture, or what still waits, and write it; the last one's duration would be lost otherwise."""
        for packet in self._stream.encode(picture):
            if packet.pts is not None and (duration := self._durations.pop(packet.pts, 0)):
                packet.duration = duration
            self._output.mux(packet)

    def _encode(self, picture: av.VideoFrame, pts: int, duration: int) -> None:
        if self.frames_written == 0:
            self._avoid_negative(pts)
        time_base = self._info.time_base
        picture.pts, picture.time_base = pts - self._origin, time_base
        if duration > 0:
            self._durations[picture.pts] = duration
        with self._errors():
            if self._audio is not None:
                self._audio.copy_until(float(pts * time_base), origin=self._origin * time_base)
            self._mux(picture)
        self.frames_written += 1

    def _avoid_negative(self, first_pts: int) -> None:
        """Begin at 0 if the first frame lay before it: containers drop such frames, or move them by themselves."""
        if first_pts < self._origin:
            moved = float((self._origin - first_pts) * self._info.time_base)
            self.warnings.append(f"the timestamps began before 0; all were moved by {moved:.3f} s")
            self._origin = first_pts

    def _picture(self) -> av.VideoFrame:
        return av.VideoFrame(self._settings.width, self._settings.height, self._settings.pixel_format)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            if isinstance(error, OutputError):
                raise
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot write {self.part}: {reason}",
                hint="check that the disk has room and that the folder may be written to",
            ) from error


def _check_rate(path: Path, info: VideoInfo) -> None:
    rate = float(info.average_rate or 0)
    if container_for(path) == "matroska" and rate > _MATROSKA_TICKS:
        raise UsageError(
            f"Matroska keeps whole milliseconds, too coarse for {rate:g} frames per second: {path}",
            hint=f"write to {path.with_suffix('.mp4').name}",
        )


class MaskWriter(_VideoWriter):
    """Writes binary masks as a black and white video.

    `.mp4`, `.m4v`, `.mov`: H.264 that plays anywhere and is exact after `> 127`. `.mkv`: lossless FFV1, exactly 0 and
    255. Odd sides get a black row or column in H.264 (`padded`), none in FFV1.
    """

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        overwrite: bool = False,
        threads: int = 0,
        origin_pts: int = 0,
        keep_metadata: bool = False,
    ) -> None:
        """Open `path` for the masks of a video.

        `origin_pts` is subtracted from every timestamp; `keep_metadata` copies the input's tags. Raises
        UsageError for a file ending that is not allowed and OutputError if nothing can be written there.
        """
        target = Path(path)
        lossless = container_for(target) == "matroska"
        settings = _lossless_mask(info, threads) if lossless else _h264_mask(info, threads)
        super().__init__(
            target, info, settings, overwrite=overwrite, origin_pts=origin_pts, keep_metadata=keep_metadata
        )
        if lossless and info.sample_aspect_ratio not in (None, 1):
            self.warnings.append(f"the mask has square pixels, the input's are {info.sample_aspect_ratio} wide")

    def write(self, mask: Pixels, pts: int, duration: int = 0) -> None:
        """Append the upright mask, (H, W) of 0 and 255 alone, of the frame at `pts` (ticks of the input's time base).

        `duration` is in ticks too, 0 where it is not known.
        """
        assert mask.shape == self._info.upright_size and mask.dtype == np.uint8, (mask.shape, mask.dtype)
        turned = stored(mask, self._info.rotation)
        picture = self._picture()
        if self._settings.pixel_format == "gray":
            fill(picture, turned)
        else:
            luma: Pixels = (turned & (_WHITE - _BLACK)) + _BLACK
            padding = ((0, self._settings.height - luma.shape[0]), (0, self._settings.width - luma.shape[1]))
            fill(picture, np.pad(luma, padding, constant_values=_BLACK) if self.padded else luma, _GREY, _GREY)
        self._encode(picture, pts, duration)


class OverlayWriter(_VideoWriter):
    """Writes pictures given as `Planes` as H.264 with the input's colours, and copies its sound."""

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        overwrite: bool = False,
        crf: int = 18,
        preset: str = "superfast",
        audio: bool = True,
        audio_span: tuple[float | None, float | None] = (None, None),
        threads: int = 0,
        origin_pts: int = 0,
        keep_metadata: bool = False,
        gpu: str = "",
    ) -> None:
        """Open `path` for the overlay of a video.

        `crf` is x264's quality, 0 (best) to 51; `audio_span` is the first and last second of sound to copy, on the
        input's clock (None for all; see `VideoReader.span`); `origin_pts` is subtracted from every timestamp;
        `keep_metadata` copies the input's tags, which otherwise are left out; `gpu` names a GPU of this machine, whose
        encoder is taken where it wins. Raises UsageError for a file ending that is not allowed and OutputError if
        nothing can be written there.
        """
        settings = _h264_overlay(info, crf, preset, threads)
        super().__init__(
            Path(path),
            info,
            faster_on_gpu(settings, info, gpu) if gpu else settings,
            overwrite=overwrite,
            origin_pts=origin_pts,
            keep_metadata=keep_metadata,
        )
        if audio and info.has_audio:
            try:
                self._audio = AudioCopy(info, self._output, span=audio_span)
                self._tags.tell_sound(self._output)
            except BaseException:
                self.abort()
                raise

    def write(self, planes: Planes, pts: int, duration: int = 0) -> None:
        """Append the picture of the frame at `pts` for `duration`, both in ticks of the input's time base."""
        picture = self._picture()
        fill(picture, planes.y, planes.u, planes.v)
        self._encode(picture, pts, duration)


def _h264_mask(info: VideoInfo, threads: int) -> EncoderSettings:
    """At this quality no pixel crosses 127, whatever the mask: measured margins are over 100 of 127 levels.

    A constant quantiser in place of `crf` spares x264 its look at every picture: 1.3 of 4.3 ms at 1920x1080.
    """
    return EncoderSettings(
        codec="libx264",
        pixel_format="yuv420p",
        width=even(info.width),
        height=even(info.height),
        colour=ColourTags(matrix=BT709, primaries=BT709, transfer=BT709, full_range=False),
        options={"preset": "ultrafast", "qp": "12"},
        threads=threads,
    )


def _lossless_mask(info: VideoInfo, threads: int) -> EncoderSettings:
    return EncoderSettings(
        codec="ffv1",
        pixel_format="gray",
        width=info.width,
        height=info.height,
        colour=ColourTags(matrix=BT709, primaries=BT709, transfer=BT709, full_range=True),
        options={"level": "3", "slicecrc": "1"},
        key_frame_every=1,
        threads=threads,
    )


def _h264_overlay(info: VideoInfo, crf: int, preset: str, threads: int) -> EncoderSettings:
    if not 0 <= crf <= 51:
        raise UsageError(f"expected an overlay quality (crf) of 0 to 51, found {crf}")
    if preset not in _PRESETS:
        raise UsageError(f"expected an x264 preset ({', '.join(_PRESETS)}), found '{preset}'")
    options = {"preset": preset, "crf": str(crf)}
    if preset == "superfast":
        # With the look-ahead that this preset leaves out, it is as good as `veryfast` on real endoscopy (PSNR within
        # 0.2 dB) in two thirds to three quarters of its time, files being 5 to 10 % larger; without, 19 to 45 %.
        looked_ahead = min(_MOST_LOOKED_AHEAD, frames_within(info.width, info.height))
        options["x264-params"] = f"mbtree=1:rc-lookahead={looked_ahead}"
    return EncoderSettings(
        codec="libx264",
        pixel_format="yuv420p",
        width=even(info.width),
        height=even(info.height),
        colour=info.colour.resolved(info.height),
        options=options,
        threads=threads,
    )
