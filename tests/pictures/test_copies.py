"""Copies of pictures say nothing beside their pixels, and show the same pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from endoseg_cli.errors import InputError, OutputError
from endoseg_cli.pictures.bare import without_metadata
from endoseg_cli.pictures.copies import copy_picture_file, write_picture_like
from endoseg_cli.pictures.images import read_image
from tests.burnt_in import burnt_in
from tests.pictures.exif import SECRET, exif, told_jpeg, told_png, told_webp
from tests.video.rendering import Picture

TOLD = {".jpg": told_jpeg, ".png": told_png, ".webp": told_webp}


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", TOLD)
def test_nothing_is_told_and_the_same_is_shown(tmp_path: Path, kind: str, turn: int) -> None:
    source, copy = tmp_path / f"in{kind}", tmp_path / f"out{kind}"
    source.write_bytes(TOLD[kind](burnt_in(0), turn))
    assert SECRET in source.read_bytes() and exif(turn) in source.read_bytes()
    copy_picture_file(source, copy, keep_metadata=False)
    data = copy.read_bytes()
    assert SECRET not in data and exif(turn)[8:] not in data and b"\x25\x88" not in data[:200]
    assert np.array_equal(read_image(copy), read_image(source))
    assert read_image(copy).shape[:2] == ((120, 160) if turn < 5 else (160, 120))


def test_compressed_pixels_stay_as_they_are() -> None:
    plain = bytes(cv2.imencode(".jpg", burnt_in(0))[1].tobytes())
    assert without_metadata(plain) == plain
    rest = plain[plain.index(b"\xff\xdb") :]
    assert without_metadata(told_jpeg(burnt_in(0)[..., ::-1])).endswith(rest)  # type: ignore[union-attr]


def test_a_progressive_jpeg_keeps_all_its_scans(tmp_path: Path) -> None:
    data = cv2.imencode(".jpg", burnt_in(0), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1]
    (tmp_path / "a.jpg").write_bytes(data.tobytes()[:2] + b"\xff\xfe\0\x09Mueller" + data.tobytes()[2:])
    copy_picture_file(tmp_path / "a.jpg", tmp_path / "b.jpg", keep_metadata=False)
    assert (tmp_path / "b.jpg").read_bytes() == data.tobytes()


def sixteen_bits(picture: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    return picture.astype(np.uint16) * np.uint16(257)


def grey(picture: Picture) -> Picture:
    return np.ascontiguousarray(picture[..., 0])


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *((".tif", change) for change in (None, sixteen_bits, grey)),
        *((".jp2", change) for change in (None, sixteen_bits, grey)),
        *((".bmp", change) for change in (None, grey)),
    ],
)
def test_other_formats_are_written_anew_without_loss(
    tmp_path: Path, kind: str, change: Callable[[Picture], Picture] | None
) -> None:
    picture = burnt_in(0) if change is None else change(burnt_in(0))
    data = cv2.imencode(kind, picture, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000] if kind == ".jp2" else [])[1]
    (tmp_path / f"a{kind}").write_bytes(data.tobytes() + SECRET)
    copy_picture_file(tmp_path / f"a{kind}", tmp_path / f"b{kind}", keep_metadata=False)
    assert SECRET not in (tmp_path / f"b{kind}").read_bytes()
    assert np.array_equal(read_image(tmp_path / f"a{kind}"), read_image(tmp_path / f"b{kind}"))


def test_a_jpeg_that_is_cut_off_keeps_what_there_is() -> None:
    picture = burnt_in(0)
    whole, plain = told_jpeg(picture, 1), bytes(cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes())
    bare = without_metadata(whole[: len(whole) // 2])
    assert bare is not None and SECRET not in bare and plain.startswith(bare) and len(bare) > 100


def test_kept_means_the_very_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(told_jpeg(burnt_in(0)))
    copy_picture_file(tmp_path / "a.jpg", tmp_path / "b.jpg", keep_metadata=True)
    assert (tmp_path / "b.jpg").read_bytes() == (tmp_path / "a.jpg").read_bytes()


def test_what_cannot_be_made_bare_or_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(told_jpeg(burnt_in(0))[:60])
    with pytest.raises(OutputError, match="without its metadata") as refused:
        copy_picture_file(tmp_path / "a.jpg", tmp_path / "b.jpg", keep_metadata=False)
    assert "--keep-metadata" in (refused.value.hint or "") and not (tmp_path / "b.jpg").exists()
    with pytest.raises(InputError, match="cannot read"):
        copy_picture_file(tmp_path / "none.jpg", tmp_path / "b.jpg", keep_metadata=False)


@pytest.mark.parametrize("kind", [".jpg", ".jfif", ".png", ".webp", ".tif", ".bmp", ".jp2", ".odd"])
def test_pictures_are_written_as_their_name_says(tmp_path: Path, kind: str) -> None:
    write_picture_like(tmp_path / f"a{kind}", burnt_in(0))
    lossy = kind in (".jpg", ".jfif")
    difference = np.abs(read_image(tmp_path / f"a{kind}").astype(int) - burnt_in(0))
    assert difference.mean() < 3 if lossy else difference.max() == 0
