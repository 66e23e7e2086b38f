from __future__ import annotations

import numpy as np
import pytest

from endoseg_cli.annotations.writing.regions import find_regions
from tests.annotations.drawn import hard_masks


def test_regions_of_each_class_carry_their_mean_probability() -> None:
    mask = np.zeros((2, 8, 10), dtype=np.bool_)
    mask[0, 1:3, 2:5] = mask[0, 6, 8] = mask[1, 4, 4] = True
    probability = np.linspace(0, 1, mask.size, dtype=np.float32).reshape(mask.shape)
    regions = find_regions(mask, probability)
    assert [(region.class_index, region.box) for region in regions] == [
        (0, (2, 1, 3, 2)),
        (0, (8, 6, 1, 1)),
        (1, (4, 4, 1, 1)),
    ]
    assert regions[0].score == pytest.approx(probability[0, 1:3, 2:5].mean())
    assert regions[2].score == pytest.approx(probability[1, 4, 4])


@pytest.mark.parametrize("name", hard_masks())
def test_regions_together_are_the_mask(name: str) -> None:
    mask = hard_masks()[name]
    together = np.zeros_like(mask)
    for region in find_regions(mask[None], np.ones((1, *mask.shape), np.float32)):
        assert not (together & region.mask(mask.shape)).any()
        together |= region.mask(mask.shape)
    np.testing.assert_array_equal(together, mask)
