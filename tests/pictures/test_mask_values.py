from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.errors import InputError
from endoseg_cli.pictures.images import read_mask
from tests.data.drawing import SIZE, draw_mask, save

DISC = draw_mask() > 0


def palette_png(indices: NDArray[np.uint8], palette: list[tuple[int, int, int]]) -> bytes:
    """Encode a PNG of colour type 3, which OpenCV cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = indices.shape
    rows = b"".join(b"\0" + row.tobytes() for row in indices)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    colours = bytes(value for colour in palette for value in colour)
    parts = [chunk(b"IHDR", header), chunk(b"PLTE", colours), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("value", [1, 128, 200, 255])
def test_two_values_with_zero(tmp_path: Path, value: int) -> None:
    np.testing.assert_array_equal(read_mask(save(tmp_path / "m.png", DISC.astype(np.uint8) * np.uint8(value))), DISC)


@pytest.mark.parametrize("value", [1, 255, 65535])
def test_16_bit_masks(tmp_path: Path, value: int) -> None:
    np.testing.assert_array_equal(read_mask(save(tmp_path / "m.png", DISC.astype(np.uint16) * np.uint16(value))), DISC)


@pytest.mark.parametrize(("value", "foreground"), [(0, False), (1, True), (255, True)])
def test_a_mask_of_one_value(tmp_path: Path, value: int, foreground: bool) -> None:
    mask = read_mask(save(tmp_path / "m.png", np.full(SIZE, value, dtype=np.uint8)))
    assert mask.all() == mask.any() == foreground


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_grey_jpeg_edges_are_cut_at_half(tmp_path: Path, quality: int) -> None:
    disc = draw_mask((200, 240), 50)
    mask = read_mask(save(tmp_path / "m.jpg", disc, quality))
    assert np.count_nonzero(mask != (disc > 0)) < 0.05 * np.count_nonzero(disc)


def test_soft_edges_are_cut_at_half(tmp_path: Path) -> None:
    soft = np.asarray(cv2.GaussianBlur(draw_mask((200, 240), 50), (7, 7), 0), dtype=np.uint8)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "m.png", soft)), soft > 127)


def test_colour_on_black_and_rgba(tmp_path: Path) -> None:
    red = np.dstack([draw_mask(), np.zeros((*SIZE, 2), dtype=np.uint8)])
    np.testing.assert_array_equal(read_mask(save(tmp_path / "red.png", red)), DISC)
    white = np.dstack([*[draw_mask()] * 3, np.full(SIZE, 255, dtype=np.uint8)])
    np.testing.assert_array_equal(read_mask(save(tmp_path / "white.png", white)), DISC)


def test_a_mask_kept_in_the_alpha_channel(tmp_path: Path) -> None:
    alpha = np.dstack([np.full((*SIZE, 3), 255, dtype=np.uint8), draw_mask()])
    np.testing.assert_array_equal(read_mask(save(tmp_path / "alpha.png", alpha)), DISC)
    opaque = np.dstack([np.zeros((*SIZE, 3), dtype=np.uint8), np.full(SIZE, 255, dtype=np.uint8)])
    assert not read_mask(save(tmp_path / "opaque.png", opaque)).any()


@pytest.mark.parametrize("colour", [(128, 0, 0), (255, 255, 255), (0, 0, 1)])
def test_palettes_are_read_by_their_colours(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    path = tmp_path / "m.png"
    path.write_bytes(palette_png(DISC.astype(np.uint8), [(0, 0, 0), colour]))
    np.testing.assert_array_equal(read_mask(path), DISC)


def regions(*values: int) -> NDArray[np.uint8]:
    """Return a mask of equal vertical stripes of these values."""
    return np.repeat(np.array([values], dtype=np.uint8), 40, axis=1).repeat(40, axis=0)


@pytest.mark.parametrize(
    "values", [(0, 1, 2, 3), (0, 2), (0, 76), (0, 128, 255), (0, 100, 200), (0, 1, 255), (90, 200)]
)
def test_class_ids_and_grey_regions_are_refused_with_the_values_found(tmp_path: Path, values: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        read_mask(save(tmp_path / "ids.png", regions(*values)))
    for value in values:
        assert f"{value} in {100 / len(values):.1f} %" in caught.value.message
    assert "ids.png" in caught.value.message
    assert caught.value.hint is not None


def test_two_colours_are_refused(tmp_path: Path) -> None:
    stripes = np.dstack([regions(0, 255, 0), regions(0, 0, 255), regions(0, 0, 0)])
    with pytest.raises(InputError, match=r"3 values \(0, 0, 0\).*\(0, 255, 0\).*\(255, 0, 0\)"):
        read_mask(save(tmp_path / "two.png", stripes))


def test_a_photograph_given_as_mask_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    photograph = np.asarray(cv2.GaussianBlur(noise, (9, 9), 0), dtype=np.uint8)
    with pytest.raises(InputError, match="the commonest"):
        read_mask(save(tmp_path / "photo.jpg", photograph))
