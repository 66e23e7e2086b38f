from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.predict.masks import BinaryMask
from endoseg_cli.inference.write.overlay import NAMED_COLOURS, OverlayConfig, parse_colour, tint_planes, tint_rgb
from endoseg_cli.video.geometry.colour import BT709, ColourTags
from endoseg_cli.video.geometry.planes import Planes
from endoseg_cli.video.geometry.rotation import stored

TAGS = ColourTags(matrix=BT709, primaries=BT709, transfer=BT709, full_range=False)
NO_RIM = OverlayConfig(contour=0, strength=1)


def noise_planes(height: int, width: int, seed: int = 0) -> Planes:
    """Random planes of a stored picture, padded to even sides as the reader gives them."""
    rng = np.random.default_rng(seed)
    high, wide = height + height % 2, width + width % 2
    y = rng.integers(16, 236, (high, wide), np.uint8)
    u, v = (rng.integers(16, 241, (high // 2, wide // 2), np.uint8) for _ in range(2))
    return Planes(y=y, u=u, v=v, colour=TAGS)


def copy(planes: Planes) -> Planes:
    return replace(planes, y=planes.y.copy(), u=planes.u.copy(), v=planes.v.copy())


def random_mask(rng: np.random.Generator, size: tuple[int, int]) -> BinaryMask:
    """A box anywhere, its sides odd or even, touching borders or not, with a hole."""
    mask = np.zeros(size, bool)
    top, left = (int(rng.integers(0, side)) for side in size)
    bottom, right = (int(rng.integers(start + 1, side + 1)) for start, side in zip((top, left), size, strict=True))
    mask[top:bottom, left:right] = True
    mask[(top + bottom) // 2, (left + right) // 2] = False
    return mask


def chroma_outside(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Chroma samples that colour at least one pixel outside the mask."""
    padded = np.zeros((2 * shape[0], 2 * shape[1]), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    blocks = padded.reshape(shape[0], 2, shape[1], 2)
    return np.asarray(~blocks.all(axis=(1, 3)))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("size", [(24, 32), (23, 31), (1, 1), (2, 9)])
def test_outside_the_mask_every_luma_and_chroma_bit_stays(size: tuple[int, int], rotation: int) -> None:
    rng = np.random.default_rng(rotation)
    upright = size if rotation % 180 == 0 else size[::-1]
    for trial in range(20):
        mask = random_mask(rng, upright)
        before = noise_planes(*size, seed=trial)
        after = tint_planes(copy(before), mask[None], rotation, OverlayConfig())
        turned = stored(mask.view(np.uint8), rotation).view(np.bool_)
        luma_outside = np.ones(before.y.shape, bool)
        luma_outside[: size[0], : size[1]] = ~turned
        assert np.array_equal(after.y[luma_outside], before.y[luma_outside])
        outside = chroma_outside(turned, before.u.shape)
        assert np.array_equal(after.u[outside], before.u[outside])
        assert np.array_equal(after.v[outside], before.v[outside])


def test_an_empty_mask_changes_nothing() -> None:
    before = noise_planes(24, 32)
    after = tint_planes(copy(before), np.zeros((1, 24, 32), bool), 0, OverlayConfig())
    assert all(np.array_equal(getattr(after, name), getattr(before, name)) for name in "yuv")


def test_inside_at_full_strength_the_colour_is_the_one_asked_for() -> None:
    # BT.709 limited range of pure red is Y 63, U 102, V 240
    mask = np.ones((1, 8, 8), bool)
    planes = tint_planes(noise_planes(8, 8), mask, 0, replace(NO_RIM, colours=((255, 0, 0),)))
    assert (planes.y == 63).all() and (planes.u == 102).all() and (planes.v == 240).all()


def test_the_tint_mixes_by_its_strength() -> None:
    before = noise_planes(8, 8)
    config = OverlayConfig(strength=0.25, contour=0, colours=((255, 255, 255),))
    after = tint_planes(copy(before), np.ones((1, 8, 8), bool), 0, config)
    assert np.array_equal(after.y, np.rint(before.y + 0.25 * (235.0 - before.y)))
    assert np.array_equal(after.u, np.rint(before.u + 0.25 * (128.0 - before.u)))


def test_a_chroma_sample_is_coloured_only_where_all_its_pixels_are_lesion() -> None:
    mask = np.zeros((1, 8, 8), bool)
    mask[0, 1:6, 2:7] = True  # whole blocks: rows 2-5, columns 2-5
    before = noise_planes(8, 8)
    after = tint_planes(copy(before), mask, 0, replace(NO_RIM, colours=((0, 0, 255),)))
    changed = np.argwhere(after.u != before.u)
    assert changed.min(axis=0).tolist() == [1, 1] and changed.max(axis=0).tolist() == [2, 2]
    assert np.array_equal(after.y != before.y, mask[0] & (before.y != after.y)) and (after.y[mask[0]] == 32).all()


def test_the_rim_lies_inside_the_mask_and_is_as_wide_as_asked() -> None:
    mask = np.zeros((1, 100, 100), bool)
    mask[0, 20:60, 20:60] = True
    before = noise_planes(100, 100)
    config = OverlayConfig(strength=0, contour=0.03, colours=((255, 255, 255),))
    after = tint_planes(copy(before), mask, 0, config)
    assert (after.y[20:23, 20:60] == 235).all() and (after.y[20:60, 57:60] == 235).all()
    assert np.array_equal(after.y[24:56, 24:56], before.y[24:56, 24:56])
    assert np.array_equal(after.y[~mask[0]], before.y[~mask[0]])


def test_rotation_puts_the_tint_where_the_viewer_sees_the_lesion() -> None:
    mask = np.zeros((1, 4, 8), bool)
    mask[0, :2, :2] = True  # upright: top left
    after = tint_planes(noise_planes(8, 4), mask, 90, replace(NO_RIM, colours=((255, 255, 255),)))
    # stored is the upright picture turned clockwise by 90 degrees: top left goes to top right
    assert (after.y[:2, 2:] == 235).all() and (after.y == 235).sum() <= 6


def test_classes_have_their_own_colours_and_colours_repeat() -> None:
    mask = np.zeros((3, 4, 12), bool)
    for index in range(3):
        mask[index, :, 4 * index : 4 * index + 4] = True
    image = np.zeros((4, 12, 3), np.uint8)
    marked = tint_rgb(image, mask, replace(NO_RIM, colours=((1, 2, 3), (4, 5, 6))))
    assert [marked[0, x].tolist() for x in (0, 4, 8)] == [[1, 2, 3], [4, 5, 6], [1, 2, 3]]


@pytest.mark.parametrize("size", [(24, 32), (23, 31), (1, 1)])
def test_pictures_keep_every_pixel_outside_the_mask(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    original = image.copy()
    for _ in range(20):
        mask = random_mask(rng, size)
        marked = tint_rgb(image, mask[None], OverlayConfig())
        assert np.array_equal(marked[~mask], image[~mask])
    assert np.array_equal(image, original)
    everywhere = tint_rgb(image, np.ones((1, *size), bool), replace(NO_RIM, colours=((9, 8, 7),)))
    assert (everywhere == (9, 8, 7)).all()


def test_colours_are_names_or_hexadecimal() -> None:
    assert parse_colour("green") == parse_colour("Green") == NAMED_COLOURS["green"]
    assert parse_colour("#0aFF10") == (10, 255, 16)


@pytest.mark.parametrize("text", ["", "grün", "#12345", "#1234567", "#12345g", "0aff10", "#0aff10\n"])
def test_other_words_are_no_colour(text: str) -> None:
    with pytest.raises(UsageError, match="is not a colour"):
        parse_colour(text)


@pytest.mark.parametrize(("strength", "contour"), [(-0.1, 0.1), (1.1, 0.1), (0.5, -1), (0.5, 0.3)])
def test_impossible_settings_are_refused(strength: float, contour: float) -> None:
    with pytest.raises(UsageError, match="--overlay-"):
        OverlayConfig(strength=strength, contour=contour)
