"""A predictor with an answer known beforehand: bright is lesion; and pictures and clips to give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.inference.inputs.sources import Source
from endoseg_cli.inference.predict.masks import BinaryMask
from endoseg_cli.inference.predict.predictor import Pixels, Predictor, Probability
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.inference.write.overlay import OverlayConfig
from endoseg_cli.inference.write.products import ProductStyle
from tests.networks.tiny import tiny_bundle
from tests.video.rendering import Picture

SIZE = (48, 64)
STYLE = ProductStyle(class_names=("lesion",), overlay=OverlayConfig())


class BrightnessPredictor(Predictor):
    """Takes a pixel's brightness for its lesion probability; the second class, if there is one, is its darkness."""

    def __init__(self, *, batch_size: int = 4, classes: int = 1, size: tuple[int, int] = SIZE) -> None:
        super().__init__(tiny_bundle(networks=1), device="cpu", batch_size=batch_size)
        self.card = replace(self.card, input_size=size)
        self._classes = classes
        self.batches: list[int] = []
        """How many frames each call got."""

    def predict(self, frames: Sequence[Pixels]) -> Probability:
        self.batches.append(len(frames))
        bright = np.stack([frame.mean(axis=2, dtype=np.float32) / 255 for frame in frames])[:, None]
        return bright if self._classes == 1 else np.concatenate([bright, 1 - bright], axis=1)


def disc_mask(index: int, size: tuple[int, int] = SIZE) -> BinaryMask:
    """The truth of frame `index`: a disc that moves two pixels a frame, and every fifth frame nothing."""
    mask = np.zeros(size, np.uint8)
    if index % 5 != 4:
        cv2.circle(mask, (14 + 2 * (index % 16), size[0] // 2 - 3), 9, 1, -1)
    return mask.view(np.bool_)


def disc_picture(index: int, size: tuple[int, int]) -> Picture:
    """A bright disc on dark grey, as `disc_mask` says."""
    grey = np.where(disc_mask(index, size), np.uint8(215), np.uint8(40))
    return np.repeat(grey[..., None], 3, axis=2)


def targets_for(
    path: Path,
    *,
    masks: Path | None = None,
    overlay: Path | None = None,
    mask_pictures: Path | None = None,
    probabilities: Path | None = None,
) -> Targets:
    """Say where the products of one input go."""
    source = Source(path=path, place=Path(path.stem))
    return Targets(
        source=source,
        masks=masks,
        overlay=overlay,
        mask_pictures=mask_pictures,
        probabilities=probabilities,
        frames=None,
        name=PurePosixPath(path.stem),
    )


def decode(path: Path) -> tuple[list[NDArray[np.uint8]], list[int]]:
    """Return the stored pictures of a video as RGB, and their timestamps, by plain PyAV."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    pictures = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]
    return pictures, [frame.pts or 0 for frame in frames]


def ticks_in_seconds(path: Path) -> list[float]:
    """Return the timestamps of a video in seconds, by plain PyAV."""
    with av.open(str(path)) as container:
        return [float(frame.time or 0) for frame in container.decode(video=0)]


def since_the_first(path: Path) -> list[float]:
    """Return the timestamps of a video in seconds after its first frame, with which all outputs begin."""
    times = ticks_in_seconds(path)
    return [time - times[0] for time in times]
