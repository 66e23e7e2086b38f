"""What a processor writes beside the picture: lines of text, and sometimes the box that shows the scope's position."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from endoseg_cli.phantom.world.camera import Lens

_MARGIN = 0.08  # share of the width that must be free for the text


def write_console(frame: npt.NDArray[np.uint8], lens: Lens, rng: np.random.Generator) -> None:
    """Write text into the black margin left of the picture, in place; a frame without such a margin stays as it is."""
    height, width = frame.shape[:2]
    free = lens.centre[0] - lens.half_sides[0]
    if lens.shape == "full" or (free < _MARGIN and lens.shape == "squarish"):
        return
    scale = max(0.18, height / 1100)
    row = height * rng.uniform(0.04, 0.15)
    for _ in range(int(rng.integers(2, 9))):
        text = "".join(rng.choice(list("0123456789:/ .CVEG"), int(rng.integers(2, 10))))
        origin = (round(0.01 * width), round(row))
        cv2.putText(frame, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (205, 205, 205), 1, cv2.LINE_AA)
        row += height * rng.uniform(0.035, 0.09)
    if free > _MARGIN and rng.random() < 0.4:
        _position_box(frame, round(min(free, 0.28) * width), rng)


def _position_box(frame: npt.NDArray[np.uint8], side: int, rng: np.random.Generator) -> None:
    height = frame.shape[0]
    colour = (45, 180, 145) if rng.random() < 0.7 else (75, 105, 185)
    cv2.rectangle(frame, (0, height - round(1.1 * side)), (side, height), colour, -1)
    points = np.asarray([0.5, 0.9]) + np.cumsum(rng.normal((0, -0.12), (0.12, 0.06), (6, 2)), axis=0)
    pixels = np.round(points * side + (0, height - 1.1 * side)).astype(np.int32)
    cv2.polylines(frame, [pixels], False, (25, 60, 60), max(1, side // 24), cv2.LINE_AA)
