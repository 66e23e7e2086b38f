"""Find clips to score over time: videos and folders of frames, with their masks where there are any."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.clips.redaction import hidden_in_video, shrunk
from endoseg_cli.data.clips.training_clips import ClipShape, cropped, still_clips
from endoseg_cli.data.labels.folder_names import place
from endoseg_cli.data.labels.layout import MASK_VIDEO_ENDINGS, LabeledRecord, find_labeled, is_mask_video, scan_labeled
from endoseg_cli.data.labels.mask_reader import read_label
from endoseg_cli.data.sets.validation_split import natural_key
from endoseg_cli.errors import InputError, MissingInputError
from endoseg_cli.pictures.field_of_view import FieldOfView
from endoseg_cli.pictures.images import is_image, is_video, read_image, read_mask
from endoseg_cli.pictures.redaction import NOTHING, RedactConfig
from endoseg_cli.pictures.resize import resize_frame, resize_mask
from endoseg_cli.video.reading.field_of_view import Beginning
from endoseg_cli.video.reading.reader import VideoReader

PICTURES_PER_SECOND = 25
"""Frame rate that folders of pictures are taken to have."""
STILL_FRAMES = PICTURES_PER_SECOND
"""Frames of a clip that is made of a still."""
STILL_SEED = 1
"""Where the cameras over stills go."""
_HINT = "masks of VIDEO.mp4 lie beside it as VIDEO_masks/000000.png... or VIDEO_masks.mp4"


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Frames in order, and their masks."""

    name: str
    """What to call it."""
    frames: Path | tuple[Path, ...]
    """A video, or pictures in order."""
    masks: Path | tuple[Path, ...] | None
    """A video, or files in order; None where the truth is not known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipFrame:
    """A frame of a clip."""

    picture: NDArray[np.uint8]
    """(h, w, 3) RGB."""
    time: float
    """Timestamp in seconds."""
    truth: NDArray[np.bool_] | None
    """(h, w); None where it is not known."""
    aspect: float | None = None
    """Width over height before both were resized; None where it is not known."""
    hidden: NDArray[np.bool_] | None = None
    """(h, w), True where the picture must not be shown; None if all of it may be."""


def find_clips(path: Path) -> list[Clip]:
    """Return the clip of a video, or the clips in a folder: its videos, or else one for each folder of frames.

    Masks of a video are looked for beside it, as `endoseg phantom --clips` writes them, or as a mask video; those of
    pictures as `find_labeled` does, or nowhere if there is no mask at all. Raises MissingInputError, InputError.
    """
    if path.is_file():
        if not is_video(path):
            raise InputError(f"expected a video or a folder, found another file: {path}", hint="give --video FILE.mp4")
        return [_video(path, path.name)]
    if not path.is_dir():
        raise MissingInputError(f"no such file or folder: {path}", hint="check the path")
    videos = [file for file in sorted(path.rglob("*")) if file.is_file() and is_video(file) and not is_mask_video(file)]
    if videos:
        return [_video(video, str(video.relative_to(path))) for video in videos]
    pictures = [file for file in sorted(path.rglob("*")) if file.is_file() and is_image(file)]
    if not pictures:
        raise MissingInputError(f"no video and no picture in the folder {path}", hint="check the path")
    has_masks = any(place(file, path).role == "mask" for file in pictures) or scan_labeled(path).records
    return _labeled(path) if has_masks else _unlabeled(path, pictures)


def read_clip(
    clip: Clip, size: tuple[int, int], *, crop: bool = False, redact: RedactConfig = NOTHING
) -> Iterator[ClipFrame]:
    """Yield the frames of a clip, one by one, pictures and masks at `size` = (height, width).

    With `crop`, both are cut to the endoscope's picture first, found once for the clip. `redact` says what of the
    pictures must not be shown; they hold it all the same. Raises UsageError for a box of it that leaves a frame, and
    InputError if a file cannot be read, or if there are more or fewer masks than frames.
    """
    if isinstance(clip.frames, Path):
        with VideoReader(clip.frames, rgb_size=size) as reader:
            reader.crop = reader.find_field_of_view() if crop else None
            pairs = zip_longest(reader, _masks(clip, size, reader.crop))
            aspect = _aspect(reader)
            hidden = hidden_in_video(reader, redact, size)
            for frame, truth in pairs:
                if frame is None or (truth is None and clip.masks is not None):
                    found = "fewer masks than frames" if truth is None else "more masks than frames"
                    raise InputError(f"expected a mask for each frame of {clip.frames}, found {found}", hint=_HINT)
                yield ClipFrame(picture=frame.rgb, time=frame.time, truth=truth, aspect=aspect, hidden=hidden)
        return
    masks = clip.masks if isinstance(clip.masks, tuple) else (None,) * len(clip.frames)
    beginning = Beginning((0.0, read_image(file)) for file in clip.frames) if crop or redact.outside else None
    view = None if beginning is None else beginning.view
    part = beginning.part if beginning is not None and redact.outside else None
    box = view if crop else None
    for index, (file, mask) in enumerate(zip(clip.frames, masks, strict=True)):
        truth = None if mask is None else resize_mask(cropped(read_label(file, mask), box), size)
        image = read_image(file)
        whole = cropped(image, box)
        hidden = None
        if redact:
            whole_redaction = redact.of((image.shape[0], image.shape[1]), view, file, part)
            hidden = shrunk(cropped(whole_redaction.hidden, box), size)
        picture, aspect = resize_frame(whole, size), whole.shape[1] / whole.shape[0]
        time = index / PICTURES_PER_SECOND
        yield ClipFrame(picture=picture, time=time, truth=truth, aspect=aspect, hidden=hidden)


def clips_of_stills(
    records: Sequence[LabeledRecord], count: int, size: tuple[int, int], *, crop: bool = False
) -> Iterator[tuple[str, Iterator[ClipFrame]]]:
    """Yield names and frames of `count` clips of one second, in which a camera moves over labelled stills.

    The stills are drawn evenly and without a seed: the same records give the same clips. Raises InputError for a file
    that cannot be read.
    """
    shape = ClipShape(frames=STILL_FRAMES, size=size, seed=STILL_SEED, crop=crop)
    for number, clip in enumerate(still_clips(records, count, shape, "evaluation")):
        assert clip.truth is not None, "labelled stills have masks"
        frames = (
            ClipFrame(picture=picture, time=index / PICTURES_PER_SECOND, truth=truth)
            for index, (picture, truth) in enumerate(zip(clip.frames, clip.truth, strict=True))
        )
        yield f"still {number} ({clip.group})", frames


def _video(video: Path, name: str) -> Clip:
    for ending in MASK_VIDEO_ENDINGS:
        folder = video.with_name(video.stem + ending)
        if folder.is_dir():
            files = tuple(sorted((file for file in folder.iterdir() if is_image(file)), key=_by_stem))
            return Clip(name=name, frames=video, masks=files)
        for file in sorted(video.parent.glob(f"{_escaped(video.stem)}{ending}.*")):
            if is_video(file):
                return Clip(name=name, frames=video, masks=file)
    return Clip(name=name, frames=video, masks=None)


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _labeled(root: Path) -> list[Clip]:
    groups = defaultdict(list)
    for record in find_labeled(root):
        groups[record.group].append(record)
    clips = []
    for group, records in groups.items():
        ordered = sorted(records, key=lambda record: _by_stem(record.image))
        frames, masks = tuple(one.image for one in ordered), tuple(one.mask for one in ordered)
        clips.append(Clip(name=group or root.name, frames=frames, masks=masks))
    return clips


def _unlabeled(root: Path, pictures: Sequence[Path]) -> list[Clip]:
    folders = defaultdict(list)
    for file in pictures:
        folders[file.parent].append(file)
    return [
        Clip(name=str(folder.relative_to(root.parent)), frames=tuple(sorted(files, key=_by_stem)), masks=None)
        for folder, files in folders.items()
    ]


def _by_stem(file: Path) -> list[tuple[int, str]]:
    return natural_key(file.stem)


def _aspect(reader: VideoReader) -> float:
    height, width = reader.info.upright_size
    return width / height if reader.crop is None else reader.crop.width / reader.crop.height


def _masks(clip: Clip, size: tuple[int, int], box: FieldOfView | None) -> Iterator[NDArray[np.bool_]]:
    if isinstance(clip.masks, Path):
        with VideoReader(clip.masks, rgb_size=size) as reader:
            height, width = reader.info.upright_size
            if box is not None and (box.x + box.width > width or box.y + box.height > height):
                raise InputError(f"expected masks as large as the frames of {clip.frames}, found {width}x{height}")
            reader.crop = box
            for frame in reader:
                yield frame.rgb[..., 0] > 127
    elif clip.masks is not None:
        for file in clip.masks:
            yield resize_mask(cropped(read_mask(file), box), size)
