from __future__ import annotations

import numpy as np
import pytest

from endoseg_cli.annotations.shapes.drawing import draw_ring, fill_rings
from endoseg_cli.annotations.shapes.rings import trace_rings
from tests.annotations.drawn import hard_masks


@pytest.mark.parametrize("name", hard_masks())
def test_rings_of_a_mask_fill_to_that_mask(name: str) -> None:
    mask = hard_masks()[name]
    np.testing.assert_array_equal(fill_rings(trace_rings(mask), mask.shape), mask)


def test_a_pixel_is_inside_where_its_centre_is() -> None:
    ring = np.array([[0.4, 0.4], [2.6, 0.4], [2.6, 1.4], [0.4, 1.4]])
    np.testing.assert_array_equal(fill_rings([ring], (2, 4)), [[True, True, True, False], [False] * 4])


def test_what_lies_outside_the_picture_is_cut_off() -> None:
    ring = np.array([[-5.0, -5.0], [3.0, -5.0], [3.0, 2.0], [-5.0, 2.0]])
    mask = np.zeros((4, 5), dtype=np.bool_)
    draw_ring(mask, ring)
    draw_ring(mask, ring + 100)
    expected = np.zeros((4, 5), dtype=np.bool_)
    expected[:2, :3] = True
    np.testing.assert_array_equal(mask, expected)


def test_drawing_adds_to_what_is_there() -> None:
    mask = np.zeros((6, 6), dtype=np.bool_)
    square = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 3.0], [0.0, 3.0]])
    draw_ring(mask, square)
    draw_ring(mask, square + 2)
    assert mask.sum() == 9 + 9 - 1
