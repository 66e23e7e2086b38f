from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.pictures.field_of_view import FieldOfView, find_field_of_view

Picture = NDArray[np.uint8]


def tissue(height: int, width: int, seed: int = 0) -> Picture:
    rng = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(rng.normal(0, 60, (height, width)).astype(np.float32), (0, 0), 6)
    return np.clip(np.array((190, 110, 90)) + smooth[..., None] * 4, 25, 255).astype(np.uint8)


def framed(shape: str, *, height: int = 240, width: int = 400) -> tuple[Picture, tuple[int, int, int, int]]:
    """Return a frame with a picture of 200 x 220 pixels at (20, 150), and its box (x, y, w, h)."""
    mask = np.zeros((height, width), np.uint8)
    if shape == "circle":
        cv2.ellipse(mask, (260, 120), (110, 100), 0, 0, 360, 1, -1)
    elif shape == "octagon":
        corners = [(150, 60), (190, 20), (330, 20), (369, 60), (369, 180), (330, 219), (190, 219), (150, 180)]
        cv2.fillPoly(mask, [np.array(corners, np.int32)], 1)
    else:
        mask[20:220, 150:370] = 1
    frame = np.full((height, width, 3), 8, np.uint8)
    frame[mask > 0] = tissue(height, width)[mask > 0]
    return frame, (150, 20, 220, 200)


def assert_near(found: FieldOfView, box: tuple[int, int, int, int], tolerance: int = 10) -> None:
    assert (found.x, found.y, found.width, found.height) == pytest.approx(box, abs=tolerance)


@pytest.mark.parametrize("shape", ["circle", "octagon", "rectangle"])
def test_the_picture_is_found(shape: str) -> None:
    frame, box = framed(shape)
    assert_near(find_field_of_view(frame), box, 16 if shape == "circle" else 10)


def test_text_a_second_picture_and_a_green_inset_are_left_out() -> None:
    frame, box = framed("octagon")
    cv2.putText(frame, "NAME 12:30", (4, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    frame[90:140, 20:80] = tissue(50, 60, 3)
    frame[150:240, 60:175] = (40, 180, 140)
    assert_near(find_field_of_view(frame), box, 16)


def test_a_full_frame_and_a_dark_one_are_taken_whole() -> None:
    for frame in (tissue(120, 160), np.full((120, 160, 3), 6, np.uint8)):
        assert_near(find_field_of_view(frame), (0, 0, 160, 120), 0)


def test_the_box_crops_a_picture_and_its_mask_alike() -> None:
    frame, _ = framed("rectangle")
    box = find_field_of_view(frame)
    assert box.crop(frame).shape == (box.height, box.width, 3)
    assert box.crop(frame[..., 0]).shape == (box.height, box.width)
