from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from endoseg_cli.errors import InputError, MissingInputError, OutputError
from endoseg_cli.pictures.images import encode_jpeg, is_image, is_video, read_image, read_mask, write_png
from tests.data.drawing import SIZE, draw_frame, draw_mask, save, turn_by_exif


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF"])
def test_lossless_pictures_are_read_as_rgb(tmp_path: Path, suffix: str) -> None:
    frame = draw_frame(1)
    read = read_image(save(tmp_path / f"frame{suffix}", frame))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, frame)


def test_jpeg_keeps_the_order_of_colours(tmp_path: Path) -> None:
    frame = np.full((16, 16, 3), (200, 60, 20), dtype=np.uint8)
    assert np.abs(read_image(save(tmp_path / "red.jpg", frame)).astype(int) - frame).max() < 6
    (tmp_path / "own.jpg").write_bytes(encode_jpeg(frame, 95))
    assert np.abs(read_image(tmp_path / "own.jpg").astype(int) - frame).max() < 6


def test_a_name_outside_ascii_is_read(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "Bücher 内視鏡.png", draw_frame(2))).shape == (*SIZE, 3)


def test_grey_is_tripled_and_alpha_dropped(tmp_path: Path) -> None:
    grey = draw_frame(3)[..., 0]
    np.testing.assert_array_equal(read_image(save(tmp_path / "grey.png", grey)), np.dstack([grey] * 3))
    half_clear = np.dstack([draw_frame(3), np.full(SIZE, 40, dtype=np.uint8)])
    np.testing.assert_array_equal(read_image(save(tmp_path / "alpha.png", half_clear)), draw_frame(3))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_is_scaled_to_8(tmp_path: Path, suffix: str) -> None:
    frame = draw_frame(4)
    np.testing.assert_array_equal(read_image(save(tmp_path / f"deep{suffix}", frame.astype(np.uint16) * 257)), frame)


def test_exif_orientation_turns_the_picture_upright(tmp_path: Path) -> None:
    path = turn_by_exif(save(tmp_path / "turned.jpg", draw_frame(5)), 6)
    upright = np.rot90(draw_frame(5), k=-1)
    assert np.abs(read_image(path).astype(int) - upright).mean() < 5


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_a_picture_cut_short_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"cut{suffix}", draw_frame(6))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"expected a picture file.*cut"):
        read_image(path)


def trailers() -> dict[str, bytes]:
    """What programs and cameras leave behind the end of a picture."""
    other = cv2.imencode(".png", draw_frame(8))[1].tobytes()
    return {
        "zeros": bytes(600),
        "text": b"<!-- exported by ward 3 -->",
        "another picture": other,
        "half a picture": other[: len(other) // 2],
        "a small picture": cv2.imencode(".jpg", draw_frame(9))[1].tobytes(),
        "a promise": b"\x7f\xff\xff\xffIDATxxxx",
    }


@pytest.mark.parametrize("trailer", trailers())
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".webp", ".jp2"])
def test_what_follows_the_end_of_a_picture_changes_nothing(tmp_path: Path, suffix: str, trailer: str) -> None:
    whole = save(tmp_path / f"whole{suffix}", draw_frame(6))
    longer = tmp_path / f"longer{suffix}"
    longer.write_bytes(whole.read_bytes() + trailers()[trailer])
    np.testing.assert_array_equal(read_image(longer), read_image(whole))


@pytest.mark.parametrize("trailer", ["", *trailers()])
def test_a_damaged_png_is_refused_whatever_follows_it(tmp_path: Path, trailer: str) -> None:
    content = save(tmp_path / "whole.png", draw_frame(6)).read_bytes()
    middle = len(content) // 2
    inside = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
    behind = trailers().get(trailer, b"")
    for damaged in (content[:middle] + behind, content[: middle - 40] + content[middle:] + behind, inside + behind):
        path = tmp_path / "damaged.png"
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"damaged or foreign one: .*damaged\.png"):
            read_image(path)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    text, empty = tmp_path / "text.png", tmp_path / "empty.png"
    text.write_text("not a picture")
    empty.write_bytes(b"")
    with pytest.raises(InputError, match=r"foreign one: .*text\.png"):
        read_image(text)
    with pytest.raises(InputError, match=r"empty one: .*empty\.png"):
        read_mask(empty)
    with pytest.raises(MissingInputError, match=r"no such file: .*absent\.png"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(InputError, match="cannot read"):
        read_image(tmp_path)


def test_png_round_trip_of_picture_and_mask(tmp_path: Path) -> None:
    write_png(tmp_path / "frame.png", draw_frame(7))
    write_png(tmp_path / "mask.png", draw_mask() > 0, compression=9)
    np.testing.assert_array_equal(read_image(tmp_path / "frame.png"), draw_frame(7))
    np.testing.assert_array_equal(read_image(tmp_path / "mask.png")[..., 0], draw_mask())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frame.png", "mask.png"]


def test_png_into_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_png(tmp_path / "absent" / "frame.png", draw_frame(7))


def test_endings_tell_pictures_from_videos() -> None:
    assert is_image(Path("a/B.JPG")) and is_image(Path("c.tiff")) and not is_image(Path("d.mp4"))
    assert is_video(Path("a/B.MP4")) and is_video(Path("c.h264")) and not is_video(Path("d.png"))
