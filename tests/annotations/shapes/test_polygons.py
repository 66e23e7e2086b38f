from __future__ import annotations

import numpy as np
import pytest

from endoseg_cli.annotations.shapes.drawing import fill_rings
from endoseg_cli.annotations.shapes.polygons import keyhole, outline, within_a_pixel
from tests.annotations.drawn import Mask, disc, frame_of, hard_masks


def shifted(mask: Mask, columns: int) -> Mask:
    moved = np.zeros_like(mask)
    moved[:, columns:] = mask[:, :-columns]
    return moved


def test_within_a_pixel_allows_one_and_refuses_two() -> None:
    assert within_a_pixel(shifted(disc(), 1), disc())
    assert not within_a_pixel(shifted(disc(), 2), disc())


@pytest.mark.parametrize(("name", "other"), [("pixel", "empty"), ("row", "empty"), ("ring", "disc"), ("full", "disc")])
def test_what_vanishes_is_not_within_a_pixel(name: str, other: str) -> None:
    masks = hard_masks()
    assert not within_a_pixel(masks[name], masks[other]) and not within_a_pixel(masks[other], masks[name])


@pytest.mark.parametrize("name", hard_masks())
def test_outlines_are_within_a_pixel(name: str) -> None:
    mask = hard_masks()[name]
    drawn = np.zeros_like(mask)
    for region in frame_of(mask).regions:
        filled = fill_rings([region.outline.outer, *region.outline.holes], mask.shape)
        assert within_a_pixel(filled, region.mask(mask.shape))
        drawn |= filled
    assert within_a_pixel(drawn, mask)


def test_smooth_shapes_get_few_points() -> None:
    region = disc(60, (80, 80), (160, 160))
    assert len(outline(region).outer) < 40


def test_simplifying_moves_no_rim_to_one_side() -> None:
    region = disc(60, (80, 80), (160, 160))
    filled = fill_rings([outline(region).outer], region.shape)
    assert abs(int(filled.sum()) - int(region.sum())) < 0.01 * region.sum()


@pytest.mark.parametrize("name", hard_masks())
def test_keyholes_enclose_what_rim_and_holes_do(name: str) -> None:
    mask = hard_masks()[name]
    for region in frame_of(mask).regions:
        both = [region.outline.outer, *region.outline.holes]
        np.testing.assert_array_equal(fill_rings([keyhole(region.outline)], mask.shape), fill_rings(both, mask.shape))
