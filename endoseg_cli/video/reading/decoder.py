"""Decode a video frame by frame, past damaged packets, with a sound timestamp for every frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, cast

import av
from av.video.stream import VideoStream

from endoseg_cli.errors import InputError
from endoseg_cli.video.ends.truncation import ends_early
from endoseg_cli.video.geometry.budget import threads_within
from endoseg_cli.video.reading.coarse_clock import finer_clock
from endoseg_cli.video.reading.damage import Damage
from endoseg_cli.video.reading.deinterlace import Deinterlacer
from endoseg_cli.video.reading.info import VideoInfo, describe, time_base_of
from endoseg_cli.video.reading.seeking import SEEK_MARGIN_SECONDS, frames_before
from endoseg_cli.video.reading.source import open_video
from endoseg_cli.video.reading.timestamps import DecodingTimes, TimestampRepair

# A recording cut in the middle of a long group of pictures starts with this many undecodable packets at worst
# (40 s at 25 frames a second); refusing a packet takes microseconds, so waiting costs nothing.
_MAX_FAILURES_IN_A_ROW = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedFrame:
    """One picture as the decoder gave it, deinterlaced, in presentation order."""

    index: int
    """Position in the file, from 0."""
    pts: int
    """Timestamp in ticks of the stream's time base, strictly increasing."""
    damaged: bool
    """Whether the decoder had to guess parts of it."""
    interlaced: bool
    """Whether it was interlaced before it came here."""
    duration: int
    """For how many ticks it is shown, as the file says; 0 where it does not."""
    picture: av.VideoFrame
    """The picture; only the iterating thread may touch it."""


class _Stamp(NamedTuple):
    """What is known of a frame before it is deinterlaced, which loses it."""

    pts: int
    damaged: bool
    interlaced: bool
    duration: int


class Decoder:
    """Opens a video, decodes its first frame at once (to know what it is), then the rest on iteration.

    Iterate once, and from one thread at a time. Memory does not grow with the video.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        """Raises MissingInputError or InputError when there is no decodable video.

        `threads` 0 means one per core, fewer for large frames.
        """
        self.path = path
        self._threads, self._skips = threads, False
        self.damage = Damage()
        self._open()
        try:
            self._first = self._first_frame()
        except BaseException:
            self.container.close()
            raise
        first = self._first
        self.info: VideoInfo = describe(
            path, self.container, self.stream, first.picture, first_pts=first.pts, interlaced=first.interlaced
        )
        if self._finer is not None:
            self.info = self._finer.described(self.info)

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder and the file; call it from the thread that iterates, or after it has ended."""
        self._frames.close()
        self.container.close()

    def skim(self) -> None:
        """Leave out the frames that no other depends on from here on, where that shifts no timestamp.

        For who looks at a few frames only: with B-frames they are up to half of the work. Numbers of frames and
        `damage` mean nothing afterwards.
        """
        self._skips = self._decoding_times is None and self._finer is None
        self._set_skipping()

    def frames(self, from_pts: int | None = None) -> Iterator[DecodedFrame]:
        """Yield all frames, or those from a timestamp on; then `damage` is complete."""
        if from_pts is None or from_pts <= self._first.pts:
            yield self._first
            yield from self._frames
        else:
            yield from self._jumped(from_pts) or (frame for frame in self._frames if frame.pts >= from_pts)

    def _open(self) -> None:
        self.container, self.stream = open_video(self.path)
        self.stream.thread_type = "AUTO"
        self.stream.thread_count = threads_within(self.stream.width, self.stream.height, self._threads)
        self._set_skipping()
        self._restart()

    def _set_skipping(self) -> None:
        if self._skips:
            self.stream.codec_context.skip_frame = "NONREF"

    def _restart(self) -> None:
        """Set everything that depends on the position in the file."""
        time_base, rate = time_base_of(self.stream), self.stream.average_rate
        self._finer = finer_clock(self.path, self.container.format.name, self.stream)
        self.damage.coarse_clock = self._finer is not None
        if self._finer is not None:
            time_base, rate = time_base / self._finer.ticks, self._finer.rate / time_base
        self._clock = TimestampRepair(time_base, rate)
        self._decoding_times = DecodingTimes(self._clock.step) if self.container.format.name == "avi" else None
        self._deinterlacer = Deinterlacer(time_base, self._threads)
        self._last_end: int | None = None
        self._cause = ""
        self._frames = self._numbered()

    def _first_frame(self) -> DecodedFrame:
        frame = next(self._frames, None)
        if frame is None:
            reason = f" ({self._cause})" if self._cause else ""
            raise InputError(
                f"not one frame of the video could be decoded: {self.path}{reason}",
                hint="copy the file again; check that it plays in a media player",
            )
        return frame

    def _jumped(self, from_pts: int) -> Iterator[DecodedFrame] | None:
        """Seek, where that is exact; None where it is not, and then the frames follow on from the first one."""
        index = None if self._finer is not None else frames_before(self.info, self.stream.index, from_pts)
        if index is None:
            return None
        margin = round(SEEK_MARGIN_SECONDS / self.info.time_base)
        self.container.seek(max(from_pts - margin, self._first.pts), stream=self.stream, backward=True)
        self._restart()
        landed = next(self._frames, None)
        if landed is None or landed.pts >= from_pts:  # too late: FFmpeg seeks by decoding time
            self.container.close()
            self._open()
            return None
        return self._renumbered(from_pts, index)

    def _renumbered(self, from_pts: int, index: int) -> Iterator[DecodedFrame]:
        """Drop the frames before the wanted one, with the damage that starting in the middle causes."""
        for frame in self._frames:
            if frame.pts >= from_pts:
                yield replace(frame, index=index)
                index += 1
            else:
                self.damage = Damage()

    def _numbered(self) -> Generator[DecodedFrame]:
        index = 0
        waiting: deque[_Stamp] = deque()  # of the frames inside the deinterlacer
        for frame in self._decoded():
            waiting.append(
                _Stamp(self._timestamp(frame), frame.is_corrupt, frame.interlaced_frame, self._duration(frame))
            )
            for picture in self._deinterlacer.push(frame):
                yield self._finished(index, waiting.popleft(), picture)
                index += 1
        for picture in self._deinterlacer.flush():
            yield self._finished(index, waiting.popleft(), picture)
            index += 1
        self.damage.truncated = ends_early(self.container, self.stream, self._last_end)

    def _timestamp(self, frame: av.VideoFrame) -> int:
        by_dts = self._decoding_times
        pts, dts = (frame.pts, frame.dts) if by_dts is None else (by_dts.next(frame.dts), None)
        if pts is not None:
            self._last_end = max(self._last_end or 0, pts + (frame.duration or self._clock.step))
        if self._finer is not None:
            pts, dts = self._finer.next(pts), None
        value = self._clock.next(pts, dts)
        self.damage.repaired_timestamps = self._clock.repaired
        return value

    def _duration(self, frame: av.VideoFrame) -> int:
        return (frame.duration or 0) * (1 if self._finer is None else self._finer.ticks)

    def _finished(self, index: int, stamp: _Stamp, picture: av.VideoFrame) -> DecodedFrame:
        self.damage.concealed_frames += stamp.damaged
        return DecodedFrame(index=index, picture=picture, **stamp._asdict())

    def _decoded(self) -> Iterator[av.VideoFrame]:
        failures = 0
        # A packet that is cut off by the end of the file fails while the decoder gives out its last frames, and takes
        # them with it. In a transport stream the mark only means that something is missing before.
        skip_marked = self.container.format.name != "mpegts"
        for packet in self._packets():
            self.damage.damaged_packets += packet.is_corrupt
            if packet.is_corrupt and skip_marked:
                continue
            try:
                frames = packet.decode()
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError as error:
                failures += 1
                self._note_failure(error)
                if failures == _MAX_FAILURES_IN_A_ROW:
                    self.damage.read_error = f"{failures} packets in a row could not be decoded"
                    return
                continue
            failures = 0 if frames else failures
            if self._decoding_times is not None:
                self._decoding_times.note_packet(packet.dts, is_key=packet.is_keyframe)
            yield from frames

    def _note_failure(self, error: av.error.FFmpegError) -> None:
        self.damage.damaged_packets += 1
        self._cause = error.strerror or type(error).__name__

    def _packets(self) -> Iterator[av.Packet[VideoStream]]:
        """Yield packets and, at the end, the empty one that makes the decoder give its last frames."""
        failures = 0
        while failures < _MAX_FAILURES_IN_A_ROW:
            try:
                yield from self.container.demux(self.stream)
                return
            except av.error.InvalidDataError as error:
                failures += 1
                self._note_failure(error)
            except (av.error.FFmpegError, OSError) as error:
                self.damage.read_error = getattr(error, "strerror", None) or str(error)
                break
        yield self._flushing_packet()

    def _flushing_packet(self) -> av.Packet[VideoStream]:
        packet = cast("av.Packet[VideoStream]", av.Packet())
        packet.stream = self.stream
        return packet
