from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.pages.thumbnails import WIDTH, from_planes
from endoseg_cli.video.reading.reader import VideoReader
from tests.video.rendering import Clip, Picture, render_clip


def red_corner(index: int, size: tuple[int, int]) -> Picture:
    picture = np.full((*size, 3), (40, 160, 90), np.uint8)
    picture[: size[0] // 2, : size[1] // 2] = (200, 40, 60)
    return picture


def test_a_thumbnail_has_the_colours_and_the_place_of_the_frame(tmp_path: Path) -> None:
    clip = render_clip(tmp_path, Clip(name="a.mp4", picture=red_corner, frames=1))
    with VideoReader(clip, keep_planes=True) as reader:
        [frame] = list(reader)
    assert frame.planes is not None
    small = from_planes(frame.planes, 0)
    height, width = small.shape[:2]
    assert width <= WIDTH and small.shape[:2] == frame.rgb.shape[:2]
    assert np.abs(small.astype(int) - frame.rgb.astype(int)).mean() < 3
    turned = from_planes(frame.planes, 90)
    assert turned.shape[:2] == (width, height) and turned[-1, 0, 0] > 150 > turned[0, 0, 0]
    wide = from_planes(frame.planes, 0, float(Fraction(4, 2)))
    assert wide.shape[1] == pytest.approx(2 * wide.shape[0] * width / height, abs=2)
