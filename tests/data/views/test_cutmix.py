"""The CutMix box: its statistics, and what pasting it moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from endoseg_cli.data.views.augment import random_generator
from endoseg_cli.data.views.augment_config import CutMixConfig
from endoseg_cli.data.views.cutmix import CutMixBox, box_mask, paste_box, sample_cutmix_box

ALWAYS = CutMixConfig(probability=1.0)


def sample(size: tuple[int, int], count: int, config: CutMixConfig = ALWAYS) -> list[CutMixBox | None]:
    return [sample_cutmix_box(size, random_generator(0, 0, index, "cutmix"), config) for index in range(count)]


def test_half_of_the_frames_get_a_box() -> None:
    share = np.mean([box is not None for box in sample((256, 256), 2000, CutMixConfig())])
    assert 0.46 < share < 0.54
    assert sample((64, 64), 50, CutMixConfig(probability=0.0)) == [None] * 50


@pytest.mark.parametrize("size", [(256, 256), (192, 320)])
def test_boxes_lie_inside_and_cover_the_ranges_of_area_and_aspect(size: tuple[int, int]) -> None:
    boxes = [box for box in sample(size, 2000) if box is not None]
    assert len(boxes) == 2000
    assert all(box.top >= 0 and box.top + box.height <= size[0] for box in boxes)
    assert all(box.left >= 0 and box.left + box.width <= size[1] for box in boxes)
    area = np.array([box.height * box.width for box in boxes]) / (size[0] * size[1])
    aspect = np.array([box.height / box.width for box in boxes])
    assert 0.018 < area.min() < 0.03 and 0.39 < area.max() < 0.41
    assert 0.19 < area.mean() < 0.23
    assert 0.28 < aspect.min() < 0.35 and 2.6 < aspect.max() < 3.5


def test_tall_and_wide_boxes_are_equally_likely_in_a_square_frame_and_reach_every_side() -> None:
    boxes = [box for box in sample((128, 128), 3000) if box is not None]
    assert 0.46 < np.mean([box.height > box.width for box in boxes]) < 0.54
    centres = np.array([(box.top + box.height / 2, box.left + box.width / 2) for box in boxes])
    assert np.all(np.abs(centres.mean(axis=0) - 64) < 2)
    assert min(box.top for box in boxes) == 0 and max(box.top + box.height for box in boxes) == 128


@pytest.mark.parametrize("size", [(20, 2000), (2000, 20), (1, 1), (3, 500)])
def test_a_frame_that_no_wanted_shape_fits_still_gets_a_box_inside(size: tuple[int, int]) -> None:
    for box in sample(size, 100):
        assert box is not None
        assert box.height >= 1 and box.width >= 1
        assert box.top >= 0 and box.top + box.height <= size[0]
        assert box.left >= 0 and box.left + box.width <= size[1]


def test_a_box_becomes_a_mask_and_no_box_an_empty_one() -> None:
    mask = box_mask(CutMixBox(top=1, left=2, height=3, width=1), (5, 4))
    assert (mask.dtype, tuple(mask.shape)) == (torch.bool, (1, 5, 4))
    assert mask.nonzero().tolist() == [[0, 1, 2], [0, 2, 2], [0, 3, 2]]
    assert not box_mask(None, (5, 4)).any()


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 1, 8, 8), (5, 2, 1, 8, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bool, torch.uint8])
def test_pasting_takes_the_second_inside_each_samples_box_and_the_first_elsewhere(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    first, second = torch.zeros(shape, dtype=dtype), torch.ones(shape, dtype=dtype)
    box = CutMixBox(top=2, left=1, height=4, width=5)
    boxes = torch.stack([box_mask(box, (8, 8)), box_mask(None, (8, 8))])
    pasted = paste_box(first, second, boxes)
    assert (pasted.dtype, pasted.shape) == (dtype, first.shape)
    assert pasted[..., 0, :, 2:6, 1:6].bool().all()
    assert int(pasted.bool().sum()) == 4 * 5 * pasted[..., 0, :, 0, 0].numel()
    assert not first.bool().any()
