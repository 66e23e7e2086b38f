"""The strong view and the colour jitter: colours change as asked, pixels stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.data.views.augment import random_generator
from endoseg_cli.data.views.augment_config import ColourJitterConfig, StrongViewConfig
from endoseg_cli.data.views.photometric import colour_jitter, strong_view

Picture = NDArray[np.uint8]


def scene(size: int = 96) -> Picture:
    """Soft folds of tissue colour without any symmetry, and a little noise."""
    rng = np.random.default_rng(0)
    folds = cv2.GaussianBlur(rng.standard_normal((size, size, 1)), (0, 0), 5)[..., None]
    image = np.array((150, 90, 70)) + folds / np.abs(folds).max() * 80 + rng.normal(0, 2, (size, size, 3))
    picture: Picture = np.clip(image, 0, 255).astype(np.uint8)
    return picture


def test_the_strong_view_moves_no_pixel() -> None:
    image = scene(192)
    config = StrongViewConfig(probability=0.6)
    for index in range(20):
        strong = strong_view(image, random_generator(0, 0, index, "strong-1"), config).astype(int)
        assert strong.shape == image.shape
        assert np.corrcoef(image.mean(axis=2).ravel(), strong.mean(axis=2).ravel())[0, 1] > 0.8
        # What moves pixels by one also moves those of a mirrored picture by one, which mirrored back is two apart. The
        # tiles of CLAHE are not quite symmetric themselves.
        for axis in (0, 1):
            mirrored = np.ascontiguousarray(np.flip(image, axis))
            again = np.flip(strong_view(mirrored, random_generator(0, 0, index, "strong-1"), config), axis)
            two_apart = np.abs(strong - np.roll(strong, 2, axis)).mean()
            assert np.abs(strong - again).mean() < 0.3 * two_apart


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_probability_decides_whether_colours_change(probability: float) -> None:
    image = scene()
    strong = strong_view(image, np.random.default_rng(0), StrongViewConfig(probability=probability, at_least=0))
    jittered = colour_jitter(image, np.random.default_rng(0), ColourJitterConfig(probability=probability))
    assert np.array_equal(strong, image) == (probability == 0.0)
    assert np.array_equal(jittered, image) == (probability == 0.0)


def test_each_operation_comes_with_its_own_draw() -> None:
    image = scene(32)
    unchanged = sum(
        np.array_equal(strong_view(image, random_generator(0, 0, i, "strong-1"), StrongViewConfig(at_least=0)), image)
        for i in range(600)
    )
    assert 0.8**6 - 0.08 < unchanged / 600 < 0.8**6 + 0.08


def test_the_strong_view_is_never_the_weak_one_unless_nothing_can_change_it() -> None:
    image = scene(32)
    paper, ours = StrongViewConfig(at_least=0), StrongViewConfig()
    for index in range(100):
        views = [strong_view(image, random_generator(0, 0, index, "strong-1"), config) for config in (paper, ours)]
        assert not np.array_equal(views[1], image)
        assert np.array_equal(views[0], image) or np.array_equal(views[0], views[1]), (
            "what was drawn anyway stays as it was"
        )
    black = np.zeros((16, 16, 3), np.uint8)
    dark = [strong_view(black, random_generator(0, 0, index, "strong-1"), ours) for index in range(5)]
    assert all(view.shape == black.shape for view in dark)


def test_the_same_generator_gives_the_same_view_and_leaves_the_weak_view_alone() -> None:
    image = scene()
    before = image.copy()
    config = StrongViewConfig(probability=1.0)
    first, second = (strong_view(image, random_generator(1, 2, 3, "strong-1"), config) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(image, before)


def test_auto_contrast_stretches_a_dull_picture_to_the_full_scale() -> None:
    dull = np.full((64, 64, 3), 100, dtype=np.uint8)
    dull[:, 32:] = 150
    config = StrongViewConfig(probability=1.0, gamma=(1.0, 1.0), brightness=0.0, contrast=0.0)
    strong = strong_view(dull, np.random.default_rng(0), config)
    assert strong[:, :8].max() < 10
    assert strong[:, -8:].min() > 220  # CLAHE and the blur leave a few brighter pixels at the edge


@pytest.mark.parametrize("level", [0, 255])
def test_a_picture_of_one_colour_survives_every_operation(level: int) -> None:
    flat = np.full((40, 40, 3), level, dtype=np.uint8)
    for index in range(10):
        config = StrongViewConfig(probability=1.0, brightness=0.0, contrast=0.0)
        strong = strong_view(flat, random_generator(0, 0, index, "strong-1"), config)
        # CLAHE spreads the histogram of a tile, so white or black may change a little, but stays of one colour.
        assert strong.std() < 3
    jittered = colour_jitter(flat, np.random.default_rng(0), ColourJitterConfig(probability=1.0, brightness=0.0))
    np.testing.assert_array_equal(jittered, flat)


def test_jitter_of_saturation_alone_keeps_the_grey_and_of_hue_alone_the_value() -> None:
    image = scene()
    still = {"probability": 1.0, "brightness": 0.0, "contrast": 0.0}
    rng = np.random.default_rng(3)
    weights = np.array((0.299, 0.587, 0.114))
    saturated = colour_jitter(image, rng, ColourJitterConfig(**still, saturation=0.2, hue=0.0))
    assert np.abs(saturated @ weights - image @ weights).max() < 3
    turned = colour_jitter(image, rng, ColourJitterConfig(**still, saturation=0.0, hue=0.1))
    assert not np.array_equal(turned, image)
    assert np.abs(turned.max(axis=2).astype(int) - image.max(axis=2)).max() <= 2
