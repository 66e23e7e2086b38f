"""Each stage of `segment` alone, on frames that are held in memory, while nothing else runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from endoseg_cli.benchmark.footage import RATE, Footage, to_and_fro
from endoseg_cli.benchmark.measure import MeasureConfig, Tell, Timing, measure
from endoseg_cli.inference.inputs.views import view_of_video
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.inference.predict.masks import Segmentation, segment
from endoseg_cli.inference.predict.predictor import Pixels, Predictor
from endoseg_cli.inference.write.overlay import OverlayConfig, tint_planes
from endoseg_cli.inference.write.records import frame_records
from endoseg_cli.pictures.field_of_view import FieldOfView
from endoseg_cli.pictures.resize import resize_frame
from endoseg_cli.video.geometry.planes import Planes
from endoseg_cli.video.reading.convert import PictureConverter
from endoseg_cli.video.reading.decoder import DecodedFrame, Decoder
from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.reading.reader import VideoReader, converter_for
from endoseg_cli.video.writing.writer import MaskWriter, OverlayWriter

HELD_FRAMES = 8
"""Frames in memory; stages go over them forwards and backwards."""
NETWORKS = "networks"
STAGES: Mapping[str, str] = {
    "decode": "the file to pictures",
    "prepare": "pictures to RGB at the networks' size, and to planes for the overlay",
    NETWORKS: "RGB to probabilities, in batches",
    "mask": "probabilities to a mask at the frame's size",
    "draw": "the mask into the planes",
    "table": "a row of the table",
    "encode": "mask and overlay to H.264 files",
}
"""What each stage does; the first two share a thread of `segment`, and so do the last four."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Held:
    """Successive frames of a video at every point of the way."""

    info: VideoInfo
    """The video."""
    view: FieldOfView | None
    """What of the frames the networks see; None for all."""
    converter: PictureConverter
    """Of this video."""
    decoded: list[DecodedFrame]
    """As they come from the decoder."""
    small: list[Pixels]
    """(h, w, 3) RGB at the networks' size."""
    planes: list[Planes]
    """At full size."""
    found: list[Segmentation]
    """What the networks say, and the masks."""


def hold(path: Path, predictor: Predictor, config: SegmentConfig) -> Held:
    """Take the first frames of a video through all stages."""
    with VideoReader(path, rgb_size=predictor.input_size, keep_planes=True) as reader:
        reader.crop = view_of_video(config.view(predictor), reader)
        frames = list(islice(reader, HELD_FRAMES))
        info, view = reader.info, reader.crop
    with Decoder(path) as decoder:
        decoded = list(islice(decoder.frames(), HELD_FRAMES))
    probabilities = predictor.predict([frame.rgb for frame in frames])
    return Held(
        info=info,
        view=view,
        converter=converter_for(info),
        decoded=decoded,
        small=[frame.rgb for frame in frames],
        planes=[frame.planes for frame in frames if frame.planes is not None],
        found=[segment(each, info.upright_size, config.mask, view) for each in probabilities],
    )


def measure_stages(
    footage: Footage,
    predictor: Predictor,
    config: SegmentConfig,
    how: MeasureConfig,
    folder: Path,
    tell: Tell,
) -> dict[str, Timing]:
    """Return what each of `STAGES` takes by itself."""
    footage.ready(HELD_FRAMES)
    held = hold(footage.path, predictor, config)
    works: dict[str, Callable[[int], int]] = {
        "decode": lambda frames: decode(footage.path, frames),
        "prepare": lambda frames: _each(frames, lambda index: _prepare(held, index, predictor.input_size)),
        NETWORKS: lambda frames: predict(predictor, held.small, frames),
        "mask": lambda frames: _each(frames, lambda index: _mask(held, index, config)),
        "draw": lambda frames: _each(frames, lambda index: _draw(held, index)),
        "table": lambda frames: _each(frames, lambda index: _row(held, index, predictor.card.class_names)),
        "encode": lambda frames: _encode(held, folder, frames),
    }
    found = {}
    for name in STAGES:
        tell(f"{name} alone")
        ready = footage.ready if name == "decode" else None
        first = predictor.batch_size if name == NETWORKS else HELD_FRAMES
        found[name] = measure(works[name], how, first=first, **({"ready": ready} if ready else {}))
    return found


def limiting(stages: Mapping[str, Timing]) -> str:
    """Return the name of the slowest stage."""
    return max(stages, key=lambda name: stages[name].per_frame)


def decode(path: Path, frames: int) -> int:
    """Decode the first frames of a file; return how many there were."""
    with Decoder(path) as decoder:
        return sum(1 for _ in islice(decoder.frames(), frames))


def predict(predictor: Predictor, pictures: list[Pixels], frames: int) -> int:
    """Predict so many frames, rounded up to full batches; return how many."""
    batches = math.ceil(frames / predictor.batch_size)
    for batch in range(batches):
        numbers = range(batch * predictor.batch_size, (batch + 1) * predictor.batch_size)
        predictor.predict([pictures[to_and_fro(number, len(pictures))] for number in numbers])
    return batches * predictor.batch_size


def ticks_a_frame(info: VideoInfo) -> int:
    """Return the distance of timestamps at the video's rate, at least 1."""
    return max(round(1 / ((info.average_rate or Fraction(RATE)) * info.time_base)), 1)


def _each(frames: int, work: Callable[[int], object]) -> int:
    for index in range(frames):
        work(index)
    return frames


def _prepare(held: Held, index: int, size: tuple[int, int]) -> None:
    picture = held.decoded[to_and_fro(index, len(held.decoded))].picture
    full = held.converter.rgb(picture, owned=False)
    part = full if held.view is None else held.view.crop(full)
    np.ascontiguousarray(resize_frame(part, size))
    held.converter.planes(picture)


def _mask(held: Held, index: int, config: SegmentConfig) -> None:
    seen = held.found[to_and_fro(index, len(held.found))].seen
    segment(seen, held.info.upright_size, config.mask, held.view)


def _draw(held: Held, index: int) -> None:
    place = to_and_fro(index, len(held.found))
    tint_planes(held.planes[place], held.found[place].mask, held.info.rotation, OverlayConfig())


def _row(held: Held, index: int, names: tuple[str, ...]) -> None:
    found = held.found[to_and_fro(index, len(held.found))]
    frame_records(found, names, source=str(held.info.path), frame=index, time=index / RATE, flags="")


def _encode(held: Held, folder: Path, frames: int) -> int:
    step = ticks_a_frame(held.info)
    with (
        MaskWriter(folder / "mask.mp4", held.info, overwrite=True) as masks,
        OverlayWriter(folder / "overlay.mp4", held.info, overwrite=True, audio=False) as overlays,
    ):
        for index in range(frames):
            place = to_and_fro(index, len(held.found))
            masks.write(held.found[place].any_class.view(np.uint8) * np.uint8(255), index * step, step)
            overlays.write(held.planes[place], index * step, step)
    return frames
