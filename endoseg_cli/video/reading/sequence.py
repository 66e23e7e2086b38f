"""Read pictures in the order of their names as the frames of a video."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from endoseg_cli.errors import InputError, UsageError
from endoseg_cli.pictures.field_of_view import FieldOfView
from endoseg_cli.pictures.images import read_image
from endoseg_cli.pictures.resize import resize_frame
from endoseg_cli.video.geometry.rotation import Pixels
from endoseg_cli.video.reading.damage import Damage
from endoseg_cli.video.reading.field_of_view import LOOKS_PER_SECOND, Beginning
from endoseg_cli.video.reading.info import describe_pictures
from endoseg_cli.video.reading.reader import Frame, check_range, converter_for

_FILM_RATES = (24, 30, 60, 120)


class SequenceReader:
    """Reads the pictures of a folder as `VideoReader` reads a video: a context manager and an iterator of `Frame`.

    Pictures of another size than the first are scaled to it; one that cannot be read is left out and counted in
    `damage`, and the others keep their timestamps.
    """

    def __init__(
        self,
        folder: Path,
        pictures: Sequence[Path],
        frames_per_second: float,
        *,
        start: float | None = None,
        end: float | None = None,
        rgb_size: tuple[int, int] | None = None,
        keep_planes: bool = False,
        picture_every: int | None = None,
    ) -> None:
        """Read the first picture; the options are those of `VideoReader`.

        Raises UsageError for an impossible range or rate, and InputError if the first picture cannot be read.
        """
        check_range(start, end)
        self._rate = exact_rate(frames_per_second)
        self._pictures = pictures
        self._rgb_size, self._keep_planes, self._picture_every = rgb_size, keep_planes, picture_every
        self._first = 0 if start is None else math.ceil(_exact(start) * self._rate)
        last = len(pictures) if end is None or math.isinf(end) else math.ceil(_exact(end) * self._rate)
        self._after = min(last, len(pictures))
        height, width = read_image(pictures[0]).shape[:2]
        self.info = describe_pictures(
            folder, (height, width), rate=self._rate, time_base=1 / self._rate, count=len(pictures)
        )
        """What a video's header would say."""
        self.damage = Damage()
        """What had to be worked around so far; complete after the last picture."""
        self.crop: FieldOfView | None = None
        """The part of the picture that `Frame.rgb` shows; set it before iterating. None for all of it."""
        self._converter = converter_for(self.info)

    @property
    def span(self) -> tuple[float | None, float | None]:
        """The seconds of sound that belong to the pictures: there is none."""
        return None, None

    def __enter__(self) -> SequenceReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing: pictures are closed as soon as they are read."""

    def find_field_of_view(self) -> FieldOfView | None:
        """Return the one box of all pictures, found from the first wanted one on; None for the whole picture."""
        return self.beginning.view

    @cached_property
    def beginning(self) -> Beginning:
        """What the pictures from the first wanted one on show of the endoscope's picture."""
        return Beginning(self._looks())

    def _looks(self) -> Iterator[tuple[float, Pixels]]:
        """Yield (seconds, RGB) of a few pictures a second, from the first wanted one on."""
        step = max(1, round(self._rate / Fraction(LOOKS_PER_SECOND)))
        return ((float(index / self._rate), picture) for index, picture in self._read(step))

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; raises UsageError if none lies between start and end."""
        if self._first >= self._after:
            raise UsageError(
                f"no frame between the chosen start and end in {self.info.path}",
                hint=f"the pictures last {self.info.duration:.2f} s; choose --start and --end inside it",
            )
        for number, (index, picture) in enumerate(self._read(1, note=True)):
            yield self._frame(index, number, picture)

    def _read(self, step: int, *, note: bool = False) -> Iterator[tuple[int, Pixels]]:
        """Yield the index of every step-th picture and the picture, at the first one's size."""
        for index in range(self._first, self._after, step):
            try:
                picture = read_image(self._pictures[index])
            except InputError as error:
                if note:
                    self.damage.unreadable_pictures.append(error.message)
                continue
            if picture.shape[:2] != self.info.upright_size:
                self.damage.resized_frames += note
                picture = resize_frame(picture, self.info.upright_size)
            yield index, picture

    def _frame(self, index: int, number: int, picture: Pixels) -> Frame:
        wanted = self._picture_every is not None and number % self._picture_every == 0
        part = picture if self.crop is None else self.crop.crop(picture)
        return Frame(
            index=index,
            pts=index,
            time_base=self.info.time_base,
            damaged=False,
            duration=1,
            rgb=np.ascontiguousarray(part if self._rgb_size is None else resize_frame(part, self._rgb_size)),
            planes=self._converter.planes(av.VideoFrame.from_ndarray(picture, "rgb24")) if self._keep_planes else None,
            picture=picture if wanted else None,
        )


def exact_rate(frames_per_second: float) -> Fraction:
    """Return the rate that a rounded number such as 29.97 means; raises UsageError for one that none has."""
    if not 0.001 <= frames_per_second <= 1000:
        raise UsageError(f"--fps must be 0.001 to 1000 frames per second, found {frames_per_second:g}")
    for whole in _FILM_RATES:
        film = Fraction(whole * 1000, 1001)
        if abs(frames_per_second - film) < 0.005:
            return film
    return Fraction(frames_per_second).limit_denominator(1000)


def _exact(seconds: float) -> Fraction:
    return Fraction(seconds).limit_denominator(1_000_000)
