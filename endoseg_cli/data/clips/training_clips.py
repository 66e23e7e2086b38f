"""Short clips to learn from: stills under a moving camera, labelled sequences, unlabelled video."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.clips.camera_motion import known_flow, move_camera
from endoseg_cli.data.clips.coming_and_going import FRONT_SHARE, draw_shifts, pass_in_front
from endoseg_cli.data.labels.layout import LabeledRecord
from endoseg_cli.data.labels.mask_reader import read_label
from endoseg_cli.data.sets.validation_split import natural_order
from endoseg_cli.data.views.augment import random_generator
from endoseg_cli.errors import InputError
from endoseg_cli.pictures.field_of_view import FieldOfView, find_field_of_view
from endoseg_cli.pictures.images import read_image, read_mask
from endoseg_cli.pictures.resize import resize_frame, resize_mask
from endoseg_cli.video.reading.field_of_view import Beginning

UNIT_RATE = 25.0
"""Frames per second at which consecutive frames are one unit of time apart."""
FLOW_STRIDE = 4
"""Flow between frames is kept at this part of the resolution."""
SPEEDS = (0.15, 1.2)
"""How fast cameras over stills move, from nearly still to fast."""
Bytes = NDArray[np.uint8]
Kind = TypeVar("Kind", np.uint8, np.bool_)


@dataclass(frozen=True, kw_only=True)
class ClipShape:
    """What every clip of a run has in common."""

    frames: int
    """Number of frames."""
    size: tuple[int, int]
    """Height and width."""
    seed: int
    """Seed of what is drawn."""
    crop: bool = False
    """Whether frames and masks are cropped to the endoscope's picture before they are resized."""
    eventful: bool = False
    """Whether cameras over stills also turn away and jolt, and folds and instruments pass in front."""


@dataclass(frozen=True, kw_only=True)
class RawClip:
    """Consecutive frames, and what is known of them."""

    group: str
    """Where it comes from; clips of one group are never both trained and validated on."""
    frames: Bytes
    """(N, H, W, 3) RGB."""
    truth: NDArray[np.bool_] | None
    """(N, H, W), or None for unlabelled video."""
    flow: NDArray[np.float16]
    """(N - 1, 2, H / 4, W / 4): from each frame to the next, in pixels of the frame, x first."""
    interval: float
    """Time between consecutive frames in units of 1/25 s."""


def still_clips(records: Sequence[LabeledRecord], count: int, shape: ClipShape, stream: str) -> Iterator[RawClip]:
    """Yield `count` clips of cameras that move over labelled stills, drawn evenly from all of them."""
    order = random_generator(shape.seed, 0, 0, f"stills-{stream}").permutation(len(records))
    for index in range(count):
        record = records[int(order[index % len(records)])]
        rng = random_generator(shape.seed, index, 0, f"still-{stream}")
        image, mask = read_image(record.image), read_label(record.image, record.mask)
        if shape.crop:
            box = find_field_of_view(image)
            image, mask = box.crop(image), box.crop(mask)
        events = random_generator(shape.seed, index, 0, f"events-{stream}")
        moved = move_camera(
            image,
            mask,
            frames=shape.frames,
            size=shape.size,
            speed=rng.uniform(*SPEEDS),
            rng=rng,
            shifts=draw_shifts(shape.frames, events) if shape.eventful else None,
        )
        frames, truth = moved.frames, moved.masks
        if shape.eventful and events.random() < FRONT_SHARE:
            frames, truth = pass_in_front(frames, truth, events)
        steps = [known_flow(*pair, shape.size) for pair in pairwise(moved.homographies)]
        yield RawClip(
            group=record.group or record.name,
            frames=frames,
            truth=truth,
            flow=np.stack([_coarse(flow) for flow in steps]),
            interval=1.0,
        )


def sequence_clips(
    records: Sequence[LabeledRecord], count: int, shape: ClipShape, frames_per_second: float
) -> Iterator[RawClip]:
    """Yield at most `count` clips of labelled sequences: the frames of each group in the order of their names.

    Frames denser than 25 a second are thinned out. Raises InputError if no sequence is as long as a clip.
    """
    groups: dict[str, list[LabeledRecord]] = defaultdict(list)
    for record in sorted(records, key=natural_order):
        groups[record.group].append(record)
    stride = max(round(frames_per_second / UNIT_RATE), 1)
    starts = _starts({name: len(frames) for name, frames in groups.items()}, count, shape.frames, stride)
    if not starts:
        raise InputError(
            f"expected sequences of {shape.frames} consecutive frames or more, found {len(groups)} folders of at most"
            f" {max(map(len, groups.values()), default=0)}",
            hint="put each sequence into a folder of its own; stills belong to --labeled",
        )
    for name, start in starts:
        chosen = groups[name][start : start + stride * shape.frames : stride]
        box = find_in_pictures([record.image for record in chosen]) if shape.crop else None
        frames = np.stack([resize_frame(cropped(read_image(record.image), box), shape.size) for record in chosen])
        masks = (cropped(read_label(record.image, record.mask), box) for record in chosen)
        truth = np.stack([resize_mask(mask, shape.size) for mask in masks])
        interval = stride * UNIT_RATE / frames_per_second
        yield RawClip(group=name, frames=frames, truth=truth, flow=estimated_flow(frames), interval=interval)


def video_clips(videos: Sequence[Path], count: int, shape: ClipShape) -> Iterator[RawClip]:
    """Yield at most `count` clips, spread evenly over the videos; with masks where NAME_masks lies beside NAME.mp4.

    The masks are pictures called by the number of their frame, as `endoseg phantom` writes them.
    """
    each = -(-count // max(len(videos), 1))
    clips = (clip for video in videos for clip in _clips_of_video(video, each, shape))
    yield from islice(clips, count)


def masks_of_video(video: Path) -> Path | None:
    """Return the folder with the masks of a video's frames, if there is one."""
    folder = video.with_name(f"{video.stem}_masks")
    return folder if folder.is_dir() else None


def estimated_flow(frames: Bytes) -> NDArray[np.float16]:
    """Return the flow from each frame to the next by Farneback's method, as `RawClip.flow`."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    start = np.zeros((*frames.shape[1:3], 2), np.float32)
    estimate = partial(
        cv2.calcOpticalFlowFarneback, pyr_scale=0.5, levels=4, winsize=21, iterations=2, poly_n=7, poly_sigma=1.5
    )
    return np.stack([_coarse(np.asarray(estimate(*pair, flow=start.copy(), flags=0))) for pair in pairwise(grey)])


def _clips_of_video(video: Path, count: int, shape: ClipShape) -> Iterator[RawClip]:
    from endoseg_cli.video.reading.reader import VideoReader, probe  # frames alone are learned from without PyAV

    info, folder = probe(video), masks_of_video(video)
    rate = float(info.average_rate or UNIT_RATE)
    stride = max(round(rate / UNIT_RATE), 1)
    span = stride * shape.frames
    # a clip begins every `gap` frames; the last one must end within the video
    gap = max(((info.estimated_frames or 0) - span) // max(count - 1, 1), span)
    with VideoReader(video, rgb_size=shape.size) as reader:
        reader.crop = reader.find_field_of_view() if shape.crop else None
        kept: list[tuple[int, Bytes]] = []
        for number, frame in enumerate(reader):
            place = number % gap
            if place < span and place % stride == 0:
                kept.append((frame.index, frame.rgb))
            if len(kept) == shape.frames:
                frames = np.stack([picture for _, picture in kept])
                truth = (
                    None if folder is None else _masks(folder, [index for index, _ in kept], shape.size, reader.crop)
                )
                interval = stride * UNIT_RATE / rate
                yield RawClip(
                    group=str(video), frames=frames, truth=truth, flow=estimated_flow(frames), interval=interval
                )
            if place == gap - 1 or len(kept) == shape.frames:
                kept = []


def find_in_pictures(files: Sequence[Path]) -> FieldOfView | None:
    """Return the one box of a sequence of pictures of one size, None for all; only a few dozen are read."""
    return Beginning((0.0, read_image(file)) for file in files).view


def cropped(pixels: NDArray[Kind], box: FieldOfView | None) -> NDArray[Kind]:
    """Return the part of a picture or mask (h, w, ...) in a box; all of it without a box, or if the box leaves it."""
    if box is None or box.x + box.width > pixels.shape[1] or box.y + box.height > pixels.shape[0]:
        return pixels
    return pixels[box.y : box.y + box.height, box.x : box.x + box.width]


def _masks(folder: Path, numbers: Sequence[int], size: tuple[int, int], box: FieldOfView | None) -> NDArray[np.bool_]:
    masks = (cropped(read_mask(folder / f"{number:06d}.png"), box) for number in numbers)
    return np.stack([resize_mask(mask, size) for mask in masks])


def _starts(lengths: dict[str, int], count: int, frames: int, stride: int) -> list[tuple[str, int]]:
    """Return (sequence, first frame) of at most `count` clips, spread evenly."""
    span = stride * (frames - 1) + 1
    every = [(name, start) for name, length in lengths.items() for start in range(length - span + 1)]
    if len(every) <= count:
        return every
    return [every[place * len(every) // count] for place in range(count)]


def _coarse(flow: NDArray[np.float32]) -> NDArray[np.float16]:
    size = (max(flow.shape[1] // FLOW_STRIDE, 1), max(flow.shape[0] // FLOW_STRIDE, 1))
    smaller = np.asarray(cv2.resize(flow, size, interpolation=cv2.INTER_AREA))
    return np.moveaxis(smaller, -1, 0).astype(np.float16)
