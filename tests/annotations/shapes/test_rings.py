from __future__ import annotations

import numpy as np
import pytest

from endoseg_cli.annotations.shapes.rings import signed_area, trace_rings
from tests.annotations.drawn import hard_masks


def test_a_pixel_is_the_square_between_its_edges() -> None:
    mask = np.zeros((4, 5), dtype=np.bool_)
    mask[1, 3] = True
    (ring,) = trace_rings(mask)
    assert {tuple(point) for point in ring.tolist()} == {(3.0, 1.0), (4.0, 1.0), (4.0, 2.0), (3.0, 2.0)}
    assert signed_area(ring) == 1


def test_straight_edges_have_no_points_between_their_ends() -> None:
    (ring,) = trace_rings(np.ones((30, 50), dtype=np.bool_))
    assert len(ring) == 4 and signed_area(ring) == 1500


def test_pixels_that_touch_at_a_corner_share_one_outer_ring() -> None:
    assert len(trace_rings(np.eye(5, dtype=np.bool_))) == 1


def test_background_that_touches_at_a_corner_makes_two_holes() -> None:
    mask = np.ones((4, 4), dtype=np.bool_)
    mask[1, 1] = mask[2, 2] = False
    areas = sorted(signed_area(ring) for ring in trace_rings(mask))
    assert areas == [-1, -1, 16]


@pytest.mark.parametrize("name", hard_masks())
def test_areas_of_all_rings_add_up_to_the_mask(name: str) -> None:
    mask = hard_masks()[name]
    assert sum(signed_area(ring) for ring in trace_rings(mask)) == mask.sum()
