from __future__ import annotations

import math

import numpy as np
import pytest

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.predict.masks import MaskConfig, drop_specks, region_facts, segment


def test_a_pixel_is_lesion_above_the_threshold_not_at_it() -> None:
    probability = np.array([[[0.2, 0.5, 0.500001, 0.9]]], np.float32)
    assert segment(probability, (1, 4), MaskConfig()).mask.tolist() == [[[False, False, True, True]]]
    assert segment(probability, (1, 4), MaskConfig(threshold=0.1)).mask.all()
    assert not segment(probability, (1, 4), MaskConfig(threshold=0.95)).mask.any()


def test_probabilities_are_resized_before_they_are_thresholded() -> None:
    probability = np.zeros((2, 8, 8), np.float32)
    probability[0, :, 4:] = 1
    result = segment(probability, (32, 16), MaskConfig())
    assert result.mask.shape == result.probability.shape == (2, 32, 16)
    assert result.mask[0, :, 8:].all() and not result.mask[0, :, :8].any() and not result.mask[1].any()
    assert 0 < result.probability[0, 0, 8] < 1


def test_specks_below_the_area_go_and_the_rest_stays() -> None:
    mask = np.zeros((12, 12), bool)
    mask[0:2, 0:2] = True  # 4 pixels
    mask[5, 5] = mask[6, 6] = mask[7, 7] = True  # 3, joined at corners
    mask[11, 11] = True
    assert drop_specks(mask, 1).sum() == 8
    assert drop_specks(mask, 3).sum() == 7
    kept = drop_specks(mask, 4)
    assert kept.sum() == 4 and kept[0:2, 0:2].all()
    assert not drop_specks(mask, 5).any()
    assert drop_specks(np.ones((3, 3), bool), 9).all()
    assert not drop_specks(np.zeros((3, 3), bool), 9).any()


def test_specks_are_dropped_class_by_class() -> None:
    probability = np.zeros((2, 6, 6), np.float32)
    probability[0, 0, 0] = probability[1, :3] = 1
    result = segment(probability, (6, 6), MaskConfig(min_area=2))
    assert not result.mask[0].any() and result.mask[1].sum() == 18 and result.any_class.sum() == 18


def test_facts_are_those_of_the_largest_region_and_the_sum_of_all() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:6, 10:20] = True
    mask[15, 0] = True
    facts = region_facts(mask)
    assert (facts.pixels, facts.regions, facts.box) == (41, 2, (10, 2, 10, 4))
    assert facts.centroid == pytest.approx((14.5, 3.5))


def test_an_empty_mask_has_no_box_and_a_full_one_the_whole_picture() -> None:
    empty = region_facts(np.zeros((5, 7), bool))
    assert (empty.pixels, empty.regions, empty.box, empty.centroid) == (0, 0, None, None)
    full = region_facts(np.ones((5, 7), bool))
    assert (full.pixels, full.regions, full.box, full.centroid) == (35, 1, (0, 0, 7, 5), (3.0, 2.0))


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5, 2.0, math.nan])
def test_a_threshold_outside_0_to_1_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="--threshold must lie between 0 and 1"):
        MaskConfig(threshold=threshold)


def test_a_negative_area_is_refused() -> None:
    with pytest.raises(UsageError, match="--min-area must not be negative, found -1"):
        MaskConfig(min_area=-1)
