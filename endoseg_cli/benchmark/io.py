"""`endoseg benchmark io`: reading and writing alone, in the formats that `segment` writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from endoseg_cli.benchmark.footage import Footage, to_and_fro
from endoseg_cli.benchmark.machine import describe_machine, report
from endoseg_cli.benchmark.measure import MeasureConfig, Tell, Timing, measure, real_time
from endoseg_cli.benchmark.stages import HELD_FRAMES, decode, ticks_a_frame
from endoseg_cli.inference.write.products import PNG_COMPRESSION
from endoseg_cli.pictures.images import write_png
from endoseg_cli.video.geometry.planes import Planes
from endoseg_cli.video.geometry.rotation import Pixels
from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.reading.reader import VideoReader
from endoseg_cli.video.writing.writer import MaskWriter, OverlayWriter

READING = {
    "decode": "the file to pictures",
    "read": "as segment reads for an overlay: decoding, RGB at 256x256, planes",
}
WRITING = {
    "mask.mp4": "H.264, black and white",
    "mask.mkv": "FFV1, lossless",
    "overlay.mp4": "H.264, in colour",
    "mask.png": "a PNG a frame, 8 bits",
    "probability.png": "a PNG a frame, 16 bits",
}
INPUT_SIZE = (256, 256)
"""What networks take in most often."""
LESION_SHARE = 0.08
"""Share of the frame that the moving lesion of written masks covers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Written:
    """What is written, forwards and backwards."""

    info: VideoInfo
    planes: list[Planes]
    masks: list[Pixels]
    probabilities: list[np.ndarray[tuple[int, ...], np.dtype[np.uint16]]]


@dataclass(frozen=True, kw_only=True)
class IoBenchmark:
    """What is measured."""

    measure: MeasureConfig = field(default_factory=MeasureConfig)
    """How long and how often."""

    def run(self, footage: Sequence[Footage], folder: Path, tell: Tell) -> dict[str, Any]:
        """Measure on every video; files go to `folder`. Return what --json prints."""
        machine = describe_machine(torch.device("cpu"))
        settings = {"seconds": self.measure.seconds, "repeats": self.measure.repeats, "lesion_share": LESION_SHARE}
        return report("io", machine, settings, videos=[self._video(each, folder, tell) for each in footage])

    def _video(self, footage: Footage, folder: Path, tell: Tell) -> dict[str, Any]:
        readers: dict[str, Callable[[int], int]] = {
            "decode": lambda frames: decode(footage.path, frames),
            "read": lambda frames: _read(footage.path, frames),
        }
        found: dict[str, dict[str, Any]] = {"read": {}, "write": {}}
        for name in READING:
            tell(f"{footage.name}: {name}")
            timing = measure(readers[name], self.measure, first=HELD_FRAMES, ready=footage.ready)
            found["read"][name] = _described(timing)
        written = _hold(footage.path)
        for name in WRITING:
            tell(f"{footage.name}: {name}")
            timing = measure(partial(_write, written, folder / name), self.measure, first=HELD_FRAMES)
            size = _bytes_a_frame(folder / name, timing.frames)
            found["write"][name] = {**_described(timing), "bytes_a_frame": size}
        height, width = footage.info.upright_size
        return {"name": footage.name, "width": width, "height": height, "codec": footage.info.codec, **found}


def _described(timing: Timing) -> dict[str, Any]:
    return {**timing.to_dict(), "real_time": real_time(timing)}


def _read(path: Path, frames: int) -> int:
    with VideoReader(path, rgb_size=INPUT_SIZE, keep_planes=True) as reader:
        return sum(1 for _ in islice(reader, frames))


def _hold(path: Path) -> _Written:
    with VideoReader(path, rgb_size=INPUT_SIZE, keep_planes=True) as reader:
        planes = [frame.planes for frame in islice(reader, HELD_FRAMES) if frame.planes is not None]
        info = reader.info
    probabilities = [_lesion(number, info.upright_size) for number in range(len(planes))]
    return _Written(
        info=info,
        planes=planes,
        masks=[np.where(each > 0.5, np.uint8(255), np.uint8(0)) for each in probabilities],
        probabilities=[np.rint(each * 65535).astype(np.uint16) for each in probabilities],
    )


def _lesion(number: int, size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the probabilities of a round lesion with a soft rim that moves to the right, (H, W)."""
    height, width = size
    radius = max(round((LESION_SHARE * height * width / np.pi) ** 0.5), 1)
    centre = (width // 3 + number * max(width // 200, 1), height // 2)
    sharp = cv2.circle(np.zeros(size, np.float32), centre, radius, 1.0, -1)
    return np.asarray(cv2.blur(sharp, (2 * (radius // 8) + 1,) * 2), np.float32).clip(0, 1)


def _write(held: _Written, path: Path, frames: int) -> int:
    """Write so many frames to a video, or to pictures beside `path` that are named after it."""
    if path.suffix == ".png":
        pictures = held.masks if path.stem == "mask" else held.probabilities
        for index in range(frames):
            name = path.with_name(f"{path.stem}{to_and_fro(index, len(pictures))}.png")
            write_png(name, pictures[to_and_fro(index, len(pictures))], compression=PNG_COMPRESSION)
        return frames
    step = ticks_a_frame(held.info)
    if path.stem == "mask":
        with MaskWriter(path, held.info, overwrite=True) as masks:
            for index in range(frames):
                masks.write(held.masks[to_and_fro(index, len(held.masks))], index * step, step)
    else:
        with OverlayWriter(path, held.info, overwrite=True, audio=False) as overlays:
            for index in range(frames):
                overlays.write(held.planes[to_and_fro(index, len(held.planes))], index * step, step)
    return frames


def _bytes_a_frame(path: Path, frames: int) -> float:
    """Return the bytes a frame of a video of so many frames, or of the pictures that are named after it."""
    if path.suffix == ".png":
        sizes = [picture.stat().st_size for picture in path.parent.glob(f"{path.stem}*.png")]
        return sum(sizes) / len(sizes)
    return path.stat().st_size / frames
