from __future__ import annotations

import numpy as np
import pytest

from endoseg_cli.video.geometry.blanking import BlankPart
from endoseg_cli.video.geometry.colour import BT709, ColourTags
from endoseg_cli.video.geometry.planes import Planes
from endoseg_cli.video.geometry.rotation import stored

TAGS = ColourTags(matrix=BT709, primaries=BT709, transfer=BT709, full_range=False)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270, 360, 450])
@pytest.mark.parametrize("size", [(24, 32), (23, 31), (1, 1), (2, 9)])
def test_all_that_is_hidden_goes_with_its_colour_and_no_more_than_a_pixel_around(
    size: tuple[int, int], rotation: int
) -> None:
    rng = np.random.default_rng(rotation)
    for _ in range(10):
        upright = size if rotation // 90 % 2 == 0 else size[::-1]
        hidden = np.zeros(upright, np.bool_)
        top, left = (int(rng.integers(0, side)) for side in upright)
        hidden[top : top + 5, left : left + 7] = True
        high, wide = size[0] + size[0] % 2, size[1] + size[1] % 2
        y = rng.integers(60, 236, (high, wide), np.uint8)
        u, v = (rng.integers(180, 241, (high // 2, wide // 2), np.uint8) for _ in range(2))
        planes = Planes(y=y.copy(), u=u.copy(), v=v.copy(), colour=TAGS)
        BlankPart(hidden, rotation).blank(planes)
        turned = np.pad(stored(hidden.view(np.uint8), rotation), ((0, high - size[0]), (0, wide - size[1])), "edge")
        blocks = turned.reshape(high // 2, 2, wide // 2, 2).max(axis=(1, 3)).astype(np.bool_)
        assert (planes.y[turned > 0] == 16).all()
        assert (planes.u[blocks] == 128).all() and (planes.v[blocks] == 128).all()
        whole = blocks.repeat(2, 0).repeat(2, 1)
        assert np.array_equal(planes.y[~whole], y[~whole])
        assert np.array_equal(planes.u[~blocks], u[~blocks]) and np.array_equal(planes.v[~blocks], v[~blocks])
