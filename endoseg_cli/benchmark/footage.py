"""What is segmented: a rendered clip at several sizes, as long as it needs to be, or a file of the user's."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from endoseg_cli.errors import InputError, MissingInputError, UsageError
from endoseg_cli.phantom.clip_file import ClipFile, to_planes
from endoseg_cli.phantom.clips import ClipPlan
from endoseg_cli.phantom.dataset import clip_scene
from endoseg_cli.phantom.picture.render import Bytes, render
from endoseg_cli.phantom.world.config import ClipConfig, PhantomConfig
from endoseg_cli.pictures.images import is_picture
from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.reading.reader import probe

NAMED_SIZES = {"480p": (480, 854), "720p": (720, 1280), "1080p": (1080, 1920)}
"""Height and width in pixels."""
RATE = 25
"""Frames per second of rendered clips."""
RENDERED_HEIGHT = 240
"""Pixels: rendering a frame of 1080p takes seconds, so pictures of this height are enlarged, and get their grain."""
RENDERED_FRAMES = 12
"""Frames that are rendered; the clip shows them forwards and backwards, again and again."""
LEAST_FRAMES = 48
"""Frames that a clip has from the start."""
GRAIN = 2.0
"""Standard deviation of the grain, in grey levels."""
SEED = 3
_SIZE = re.compile(r"(\d+)x(\d+)")


@dataclass(frozen=True, kw_only=True)
class FrameSize:
    """A size that clips are rendered at."""

    name: str
    """As the user gave it."""
    height: int
    """Pixels."""
    width: int
    """Pixels."""


def parse_sizes(text: str) -> tuple[FrameSize, ...]:
    """Read 480p, 720p, 1080p or WIDTHxHEIGHT, several with commas between; raises UsageError for anything else."""
    sizes = tuple(_parse_size(part.strip().lower()) for part in text.split(","))
    if len({(size.height, size.width) for size in sizes}) < len(sizes):
        raise UsageError(f"--sizes names a size twice: {text}")
    return sizes


def _parse_size(text: str) -> FrameSize:
    match = _SIZE.fullmatch(text)
    if text in NAMED_SIZES:
        height, width = NAMED_SIZES[text]
    elif match is not None:
        width, height = int(match[1]), int(match[2])
    else:
        hint = "for example --sizes 720p,1440x1080"
        raise UsageError(f"--sizes must be {', '.join(NAMED_SIZES)} or WIDTHxHEIGHT, found '{text}'", hint=hint)
    if not all(16 <= side <= 4096 for side in (height, width)):
        raise UsageError(f"--sizes must be 16 to 4096 pixels a side, found {width}x{height}")
    return FrameSize(name=text, height=height, width=width)


class Footage(ABC):
    """A video of which the first frames are segmented, as many as a measurement needs."""

    name: str
    """What tables call it."""
    path: Path
    """The file."""

    @abstractmethod
    def ready(self, frames: int) -> None:
        """Make sure that the file has so many frames, as far as it can be."""

    @property
    def info(self) -> VideoInfo:
        """What the file says of itself."""
        return probe(self.path)

    def end(self, frames: int) -> float | None:
        """Return the second that lies behind so many frames; None where the file does not say its rate."""
        rate = self.info.average_rate
        return float(frames / rate) if rate else None


class GivenVideo(Footage):
    """A video of the user's, which may be shorter than asked for."""

    def __init__(self, path: Path) -> None:
        """Raises MissingInputError or InputError if it is no video that can be read again and again."""
        self.path, self.name = path, path.name
        if not path.exists():
            raise MissingInputError(f"no such video: {path}", hint="check the path; quote it if it contains spaces")
        if not path.is_file():
            found = "a folder" if path.is_dir() else "a pipe or device"
            raise InputError(f"expected a video file, which is read again and again, found {found}: {path}")
        if is_picture(path):
            raise InputError(f"expected a video, found a picture: {path}", hint="name a video with --input")
        self._info = probe(path)

    @property
    def info(self) -> VideoInfo:
        """What the file says of itself."""
        return self._info

    def ready(self, frames: int) -> None:
        """Leave the file as it is."""


class RenderedVideo(Footage):
    """Rendered pictures at one size, in a file that is written again when it must be longer."""

    def __init__(self, folder: Path, size: FrameSize, pictures: list[Bytes]) -> None:
        self.name, self.path = size.name, folder / f"{size.name}.mp4"
        self._size, self._pictures, self._frames = size, pictures, 0

    def ready(self, frames: int) -> None:
        """Write the file anew if it is shorter."""
        if frames <= self._frames:
            return
        self._frames = max(frames, LEAST_FRAMES)
        planes = [to_planes(self._enlarged(number)) for number in range(len(self._pictures))]
        with ClipFile(self.path, (self._size.height, self._size.width), Fraction(RATE), overwrite=True) as file:
            for index in range(self._frames):
                file.write_planes(planes[to_and_fro(index, len(planes))])

    def _enlarged(self, number: int) -> Bytes:
        """Return a picture at the video's size, with a grain of its own."""
        size = (self._size.width, self._size.height)
        picture = cv2.resize(self._pictures[number], size, interpolation=cv2.INTER_CUBIC)
        grain = np.random.default_rng([SEED, number]).standard_normal(picture.shape, np.float32)
        return np.asarray(np.clip(picture + GRAIN * grain, 0, 255), np.uint8)


def to_and_fro(index: int, count: int) -> int:
    """Return which of `count` pictures is shown at `index` when they are shown forwards, backwards, forwards..."""
    place = index % max(2 * (count - 1), 1)
    return min(place, 2 * (count - 1) - place) if count > 1 else 0


def render_pictures(largest: int) -> list[Bytes]:
    """Return successive pictures of a polyp in view, 16:9, no higher than `largest` pixels."""
    height = min(RENDERED_HEIGHT, max(largest, 16))
    config = PhantomConfig(size=(height, height * 16 // 9), empty_fraction=0.0, seed=SEED)
    clip = ClipConfig(seconds=2.0, frames_per_second=RATE)
    scene = clip_scene(config, clip, 0)
    nearest = ClipPlan(seconds=clip.seconds, empty_fraction=config.empty_fraction).key_time
    first = nearest - RENDERED_FRAMES / 2 / RATE
    return [render(scene, config.size, first + number / RATE).picture for number in range(RENDERED_FRAMES)]
