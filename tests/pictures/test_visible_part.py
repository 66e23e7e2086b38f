from __future__ import annotations

import cv2
import numpy as np
import pytest

from endoseg_cli.pictures.visible_part import common_part, enlarged, visible_part
from tests.video.rendering import Picture


def octagon(size: tuple[int, int], colour: tuple[int, int, int] = (150, 80, 60)) -> Picture:
    """A frame of black with a box of tissue whose corners are cut off."""
    height, width = size
    picture = np.zeros((height, width, 3), np.uint8)
    corners = np.array(
        [(0.3, 0.05), (0.8, 0.05), (0.95, 0.3), (0.95, 0.7), (0.8, 0.95), (0.3, 0.95), (0.15, 0.7), (0.15, 0.3)]
    )
    cv2.fillConvexPoly(picture, np.rint(corners * (width, height)).astype(np.int32), colour)
    return picture


@pytest.mark.parametrize("size", [(120, 160), (541, 961), (1080, 1920)])
@pytest.mark.parametrize("colour", [(150, 80, 60), (60, 110, 150)])
def test_the_outline_follows_cut_corners_also_of_dyed_tissue(
    size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    picture = octagon(size, colour)
    tissue = picture.max(axis=2) > 0
    cv2.putText(picture, "ANNA", (size[1] // 7, size[0] // 9), cv2.FONT_HERSHEY_SIMPLEX, size[0] / 900, (255, 255, 255))
    part = visible_part(picture)
    assert part is not None
    found = enlarged(part, size)
    assert (found & tissue).sum() > 0.995 * tissue.sum() and (found & ~tissue).sum() < 0.06 * tissue.sum()
    assert not found[: size[0] // 9, : size[1] // 5].any()


def test_dark_holes_and_dark_sides_of_the_picture_belong_to_it() -> None:
    picture = octagon((120, 160))
    cv2.circle(picture, (80, 60), 30, (3, 3, 3), -1)
    part = visible_part(picture)
    assert part is not None and part[60, 80]


def test_where_nothing_is_bright_there_is_none() -> None:
    assert visible_part(np.full((120, 160, 3), 8, np.uint8)) is None and common_part([]) is None
    speck = np.zeros((120, 160, 3), np.uint8)
    speck[50:56, 50:56] = 200
    assert visible_part(speck) is None


def test_what_half_of_the_frames_show_counts() -> None:
    parts = [np.array([[number < 3, number < 2, number < 1]]) for number in range(4)]
    found = common_part(parts)
    assert found is not None and found.tolist() == [[True, True, False]]
