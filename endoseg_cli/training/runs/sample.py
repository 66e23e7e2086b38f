"""sample.png: a few validation frames with the truth and what both networks predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endoseg_cli.data.views.datasets import to_tensor
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.pictures.images import write_png
from endoseg_cli.pictures.resize import resize_frame, resize_mask

SHOWN_FRAMES = 6
TRUTH_COLOUR = (0, 255, 0)
PREDICTION_COLOUR = (255, 210, 0)
CAPTION_FONT = cv2.FONT_HERSHEY_SIMPLEX
Picture = NDArray[np.uint8]


def write_sample(
    path: Path,
    networks: Sequence[UNet],
    frames: FrameStore,
    size: tuple[int, int],
    normalise: Callable[[Tensor], Tensor],
) -> None:
    """Write a row of pictures for each of six evenly spread validation frames: frame, truth, one per network.

    Truth and prediction are outlines, green and yellow; a line above says which column is which. Raises OutputError
    when the disk does not take it.
    """
    count = min(SHOWN_FRAMES, len(frames))
    rows = [_row(networks, frames, place * len(frames) // count, size, normalise) for place in range(count)]
    write_png(path, np.concatenate([_captions(len(networks), size[1]), *rows], axis=0))


def _captions(networks: int, width: int) -> Picture:
    """Return a line that names the columns, each in its outline's colour."""
    names = [("frame", (255, 255, 255)), ("truth", TRUTH_COLOUR)]
    names += [
        (f"network {number + 1}" if networks > 1 else "prediction", PREDICTION_COLOUR) for number in range(networks)
    ]
    height = max(width // 10, 14)
    # As large as the line is high, but no wider than its column.
    sizes = [cv2.getTextSize(name, CAPTION_FONT, 1, 1)[0] for name, _ in names]
    scale = min(0.5 * height / sizes[0][1], *(0.9 * width / across for across, _ in sizes))
    line = np.zeros((height, width * len(names), 3), np.uint8)
    thickness = 2 if scale > 0.9 else 1
    for column, (name, colour) in enumerate(names):
        place = column * width + width // 20, round(0.72 * height)
        cv2.putText(line, name, place, CAPTION_FONT, scale, colour, thickness, cv2.LINE_AA)
    return line


def _row(
    networks: Sequence[UNet],
    frames: FrameStore,
    index: int,
    size: tuple[int, int],
    normalise: Callable[[Tensor], Tensor],
) -> Picture:
    image, mask = frames.read(index)
    assert mask is not None, "validation frames have masks"
    picture = resize_frame(image, size)
    panels = [picture, _outline(picture, resize_mask(mask, size).view(np.uint8), TRUTH_COLOUR)]
    for network in networks:
        network.eval()
        with torch.inference_mode():
            predicted = (network(normalise(to_tensor(picture)[None])) > 0).cpu().numpy()[0, 0].astype(np.uint8)
        panels.append(_outline(picture, predicted, PREDICTION_COLOUR))
    return np.concatenate(panels, axis=1)


def _outline(picture: Picture, mask: Picture, colour: tuple[int, int, int]) -> Picture:
    drawn = np.ascontiguousarray(picture).copy()
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, contours, -1, colour, max(min(picture.shape[:2]) // 128, 1))
    return drawn
