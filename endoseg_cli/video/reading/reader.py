"""Read a video as a stream of frames, each with its true timestamp, in constant memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np

from endoseg_cli.errors import UsageError
from endoseg_cli.pictures.field_of_view import FieldOfView
from endoseg_cli.pictures.resize import resize_frame
from endoseg_cli.video.geometry.planes import Planes
from endoseg_cli.video.geometry.rotation import Pixels
from endoseg_cli.video.reading.convert import PictureConverter
from endoseg_cli.video.reading.damage import Damage
from endoseg_cli.video.reading.decoder import DecodedFrame, Decoder
from endoseg_cli.video.reading.field_of_view import LOOKS_PER_SECOND, Beginning
from endoseg_cli.video.reading.info import VideoInfo


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One frame, converted and owned: it holds nothing of the decoder and may go to any thread."""

    index: int
    """Position in the file, from 0, also when reading starts in the middle."""
    pts: int
    """Timestamp in ticks, strictly increasing."""
    time_base: Fraction
    """Seconds per tick."""
    damaged: bool
    """Whether the decoder had to guess parts of the picture."""
    first_pts: int = 0
    """Timestamp of the video's first frame in ticks."""
    duration: int = 0
    """For how many ticks it is shown, as the file says; 0 where it does not."""
    rgb: Pixels
    """The upright picture, (height, width, 3), at the size asked for."""
    planes: Planes | None
    """The stored picture at full size, for the overlay; None unless asked for."""
    picture: Pixels | None = None
    """The upright RGB picture at full size, (H, W, 3); None unless asked for."""

    @property
    def time(self) -> float:
        """Seconds since the video's first frame, the clock of everything that endoseg writes and is told."""
        return float((self.pts - self.first_pts) * self.time_base)


class VideoReader:
    """Reads a video from front to back: a context manager and an iterator of `Frame`.

    Decoding and all conversions happen in the thread that iterates (one only); the frames may go anywhere. Damaged
    packets are skipped and counted in `damage`, interlaced frames are deinterlaced, frames of another size than the
    first are scaled to it, and variable frame rates and start offsets are kept as they are.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        start: float | None = None,
        end: float | None = None,
        rgb_size: tuple[int, int] | None = None,
        keep_planes: bool = False,
        picture_every: int | None = None,
        threads: int = 0,
        look: Callable[[], Beginning] | None = None,
    ) -> None:
        """Open the video and decode its first frame.

        `start` (included) and `end` (excluded) are seconds after the first frame; `rgb_size` is the upright (height,
        width) of `Frame.rgb`, None for the video's own; `keep_planes` fills `Frame.planes`; `picture_every` = n fills
        `Frame.picture` of every n-th frame from `start` on; `threads` are for decoding, 0 for one per core;
        `look` gives `beginning` where somebody else looked. Raises UsageError for an impossible range,
        MissingInputError and InputError if there is no video to read.
        """
        check_range(start, end)
        self._decoder = Decoder(Path(path), threads=threads)
        self._rgb_size, self._keep_planes, self._picture_every = rgb_size, keep_planes, picture_every
        self._start, self._end = _ticks(start, self.info), _ticks(end, self.info)
        self._look = look or (lambda: Beginning(looks_at(Path(path), start)))
        self._converter = converter_for(self.info)
        self.crop: FieldOfView | None = None
        """The part of the upright picture that `Frame.rgb` shows; set it before iterating. None for all of it."""

    @property
    def info(self) -> VideoInfo:
        """What the file and its first frame say."""
        return self._decoder.info

    @property
    def damage(self) -> Damage:
        """What had to be worked around so far; complete after the last frame."""
        return self._decoder.damage

    @property
    def span(self) -> tuple[float | None, float | None]:
        """The seconds, on the video's own clock, that `start` and `end` mean; None where there is no bound."""
        start, end = (None if pts is None else float(pts * self.info.time_base) for pts in (self._start, self._end))
        return start, end

    def find_field_of_view(self) -> FieldOfView | None:
        """Return the one box of the endoscope's picture, found from `start` on; None for the whole frame.

        Opens the file once more; what can be read once only, such as a pipe, is taken whole.
        """
        return self.beginning.view if self.info.path.is_file() else None

    @cached_property
    def beginning(self) -> Beginning:
        """What the frames from `start` on show of the endoscope's picture; to know it, the file is opened once more."""
        return self._look()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder; call it from the iterating thread, or after that has ended."""
        self._decoder.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; raises UsageError if `start` lies behind the end of the video."""
        number = 0
        for decoded in self._decoder.frames(self._start):
            if self._end is not None and decoded.pts >= self._end:
                break
            yield self._frame(decoded, number)
            number += 1
        if not number:
            raise UsageError(
                f"no frame between the chosen start and end in {self.info.path}",
                hint=f"the video has {_length(self.info)}; choose --start and --end inside it",
            )

    def _frame(self, decoded: DecodedFrame, number: int) -> Frame:
        picture = decoded.picture
        wanted = self._picture_every is not None and number % self._picture_every == 0
        self.damage.resized_frames += (picture.width, picture.height) != (self.info.width, self.info.height)
        # A small picture is made from it at once; only where it is kept itself must it be a copy.
        full = self._converter.rgb(picture, owned=wanted or self._rgb_size is None)
        return Frame(
            index=decoded.index,
            pts=decoded.pts,
            time_base=self.info.time_base,
            damaged=decoded.damaged,
            first_pts=self.info.first_pts,
            duration=decoded.duration,
            rgb=self._rgb(full),
            planes=self._converter.planes(picture) if self._keep_planes else None,
            picture=full if wanted else None,
        )

    def _rgb(self, full: Pixels) -> Pixels:
        """Crop and resize as training and stills do, so that the same pixels give the same mask."""
        part = full if self.crop is None else self.crop.crop(full)
        return np.ascontiguousarray(part if self._rgb_size is None else resize_frame(part, self._rgb_size))


def probe(path: str | Path) -> VideoInfo:
    """Describe a video, decoding one frame; raises MissingInputError or InputError if there is none to read."""
    with Decoder(Path(path), threads=1) as decoder:
        return decoder.info


def sample_frames(
    path: str | Path,
    frames_per_second: float,
    size: tuple[int, int] | None = None,
    *,
    start: float | None = None,
    skim: bool = False,
) -> Iterator[tuple[int, float, Pixels]]:
    """Yield (index, time in seconds, upright RGB) of frames at most so many a second, as training pictures.

    Takes the first frame at or after each multiple of 1 / frames_per_second since the first frame; `size` is (height,
    width), None for the video's own; `start` is in seconds after the first frame.
    Raises UsageError for a rate that is not positive, else as `VideoReader`.
    """
    if not frames_per_second > 0:
        raise UsageError(f"expected a positive number of frames per second, found {frames_per_second}")
    interval = 1 / Fraction(frames_per_second).limit_denominator(1_000_000)
    with Decoder(Path(path)) as decoder:
        info = decoder.info
        converter = converter_for(info)
        if skim:
            decoder.skim()
        due = Fraction(0)
        for frame in decoder.frames(_ticks(start, info)):
            elapsed = (frame.pts - info.first_pts) * info.time_base
            if elapsed >= due:
                due = (elapsed // interval + 1) * interval
                picture = converter.rgb(frame.picture)
                shown = picture if size is None else resize_frame(picture, size)
                yield frame.index, float(elapsed), shown


def looks_at(path: Path, start: float | None) -> Generator[tuple[float, Pixels]]:
    """Yield (seconds since `start`, upright RGB) of a few frames a second, for `Beginning`; `start` as `VideoReader`'s.

    Raises as `VideoReader`.
    """
    looks = sample_frames(path, LOOKS_PER_SECOND, start=start, skim=True)
    return ((time - (start or 0.0), picture) for _, time, picture in looks)


def converter_for(info: VideoInfo) -> PictureConverter:
    """Make the converter that brings every frame of a video to the size and tags of its first."""
    return PictureConverter(width=info.width, height=info.height, rotation=info.rotation, fallback=info.colour)


def check_range(start: float | None, end: float | None) -> None:
    """Raise UsageError for a start before 0, or an end that is not after it."""
    if start is not None and not 0 <= start < float("inf"):
        raise UsageError(f"--start: expected seconds from 0 on, found {start}")
    if end is not None and not end > (start or 0):
        raise UsageError(f"--end: expected more than --start ({start or 0} s), found {end} s")


def _ticks(seconds: float | None, info: VideoInfo) -> int | None:
    """Turn seconds after the first frame into the first timestamp that is not earlier."""
    if seconds is None or seconds == float("inf"):
        return None
    # A float like 1.1 lies just above the 1.1 that was meant.
    exact = Fraction(seconds).limit_denominator(1_000_000)
    return info.first_pts + math.ceil(exact / info.time_base)


def _length(info: VideoInfo) -> str:
    return f"{info.duration:.2f} s" if info.duration else "an unknown length"
