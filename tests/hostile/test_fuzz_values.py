"""Masks, sizes, thresholds and timestamps of any kind: what holds for one holds for all."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from endoseg_cli.annotations.shapes.drawing import fill_rings
from endoseg_cli.annotations.shapes.polygons import within_a_pixel
from endoseg_cli.annotations.shapes.rle import encode
from endoseg_cli.errors import UsageError
from endoseg_cli.inference.predict.masks import MaskConfig, drop_specks, region_facts, segment
from endoseg_cli.pictures.mask_values import foreground_mask
from endoseg_cli.video.reading.timestamps import TimestampRepair
from tests.annotations.drawn import frame_of
from tests.hostile.budget import budget

Mask = NDArray[np.bool_]
SIDES = st.integers(1, 40)
TIMES = st.one_of(st.none(), st.integers(-(1 << 40), 1 << 40), st.integers(-20, 200))


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """Draw a mask of some rectangles and some single pixels."""
    height, width = draw(SIDES), draw(SIDES)
    mask = np.zeros((height, width), np.bool_)
    for _ in range(draw(st.integers(0, 4))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[top : top + draw(SIDES), left : left + draw(SIDES)] ^= True
    return mask


@budget(100)
@given(masks())
def test_run_lengths_come_back_exactly(mask: Mask) -> None:
    np.testing.assert_array_equal(encode(mask).mask(), mask)


def two_with_a_gap() -> Mask:
    """Return a block that hangs by a corner on a line, and a line a pixel beside it: outlines may bridge that."""
    mask = np.zeros((21, 9), np.bool_)
    mask[8:, :7] = mask[9:, 8] = mask[:8, 7] = mask[0, 8] = True
    return mask


@budget(60)
@given(masks())
@example(two_with_a_gap())
def test_outlines_come_back_within_a_pixel(mask: Mask) -> None:
    drawn = np.zeros_like(mask)
    for region in frame_of(mask).regions:
        size = (mask.shape[0], mask.shape[1])
        filled = fill_rings([region.outline.outer, *region.outline.holes], size)
        assert within_a_pixel(filled, region.mask(size))
        drawn |= filled
    # all together: a gap of one pixel between two regions may close, but nothing is drawn further away
    box = np.ones((3, 3), np.uint8)
    for one, other in ((drawn, mask), (mask, drawn)):
        assert not (one & (cv2.dilate(other.view(np.uint8), box) == 0)).any()


@budget(60)
@given(masks(), st.sampled_from((1, 255, 65535)))
def test_a_mask_of_two_values_is_read_as_it_is(mask: Mask, high: int) -> None:
    if high == 65535:
        high = 255  # read_mask has made 8 bits of 16
    pixels = np.repeat((mask * np.uint8(high)).astype(np.uint8)[..., None], 3, axis=2)
    found = foreground_mask(pixels, lossy=False)
    assert found is not None
    np.testing.assert_array_equal(found, mask)


@budget(60)
@given(masks(), st.integers(0, 50))
def test_dropped_specks_are_whole_regions(mask: Mask, area: int) -> None:
    kept = drop_specks(mask, area)
    facts = region_facts(kept)
    assert not (kept & ~mask).any() and (not kept.any() or facts.pixels >= area) and facts.pixels == kept.sum()


@budget(60)
@given(st.floats(), st.integers(-5, 50), SIDES, SIDES, SIDES, SIDES)
def test_any_threshold_is_kept_or_refused(threshold: float, area: int, h: int, w: int, height: int, width: int) -> None:
    try:
        config = MaskConfig(threshold=threshold, min_area=area)
    except UsageError:
        assert not 0 < threshold < 1 or area < 0
        return
    probability = np.random.default_rng(h * 41 + w).random((1, h, w), dtype=np.float32)
    found = segment(probability, (height, width), config)
    assert found.mask.shape == (1, height, width) and 0 <= found.probability.min() <= found.probability.max() <= 1
    assert not (found.mask & (found.probability <= threshold)).any()


@budget(100)
@given(st.lists(st.tuples(TIMES, TIMES), max_size=40), st.integers(1, 240), st.sampled_from((25, 1000, 90_000)))
def test_time_never_stands_still(stamps: list[tuple[int | None, int | None]], rate: int, ticks: int) -> None:
    repair = TimestampRepair(Fraction(1, ticks), Fraction(rate))
    times = [repair.next(pts, dts) for pts, dts in stamps]
    assert all(first < second for first, second in pairwise(times))
