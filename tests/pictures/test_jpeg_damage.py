"""JPEGs with bytes missing inside are refused, silently for the terminal; whole ones are read, however odd."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from endoseg_cli.errors import InputError
from endoseg_cli.pictures.images import read_image, read_mask
from endoseg_cli.pictures.jpeg_damage import runs_out
from endoseg_cli.pictures.library_messages import overheard

PICTURE = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 255, (240, 320, 3), dtype=np.uint8), (0, 0), 1.5)
NOISE = np.random.default_rng(3).integers(0, 255, (96, 128, 3), dtype=np.uint8)
with overheard() as heard:
    HEARS = heard is not None
linux = pytest.mark.skipif(not HEARS, reason="what libjpeg says is heard with glibc only")


def jpeg(*options: int, pixels: np.ndarray = PICTURE) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90, *options])[1].tobytes()


def without(content: bytes, count: int, at: float = 0.5) -> bytes:
    start = round(at * len(content))
    return content[:start] + content[start + count :]


def numbers(content: bytes) -> np.ndarray:
    return np.frombuffer(content, np.uint8)


DAMAGED = {
    "bytes missing": without(jpeg(), 300),
    "bytes missing at the end of its data": without(jpeg(), 300, at=0.93),
    "a sector of zeros": jpeg()[:4000] + bytes(512) + jpeg()[4512:],
    "bytes missing before a file behind it": without(jpeg(), 300) + jpeg(pixels=NOISE),
    "one channel": without(jpeg(pixels=PICTURE[..., 0]), 300),
}
DAMAGED_IN_A_PART = {
    "much left over": without(jpeg(pixels=NOISE), 300),
    "restarts": without(jpeg(cv2.IMWRITE_JPEG_RST_INTERVAL, 4), 150),
    "progressive": without(jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1), 300),
}
WHOLE = {
    "plain": jpeg(),
    "progressive": jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": jpeg(cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
    "data behind its end": jpeg() + b"maker's notes" * 50,
    "data before its end": jpeg()[:-2] + b"\0" * 40 + jpeg()[-2:],
    "a file behind data before its end": jpeg()[:-2] + b"\0" * 40 + jpeg()[-2:] + jpeg(pixels=NOISE),
    "grey to the end": jpeg(pixels=np.full_like(PICTURE, 128)),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_jpeg_damaged_inside_is_refused(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(DAMAGED[name])
    for read in (read_image, read_mask):
        with pytest.raises(InputError, match=r"whole picture, found a damaged one; copy or export it again: .*a\.jpg"):
            read(path)
    assert not HEARS or capfd.readouterr() == ("", "")


@linux
@pytest.mark.parametrize("name", DAMAGED_IN_A_PART)
def test_damage_to_one_part_is_seen(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(DAMAGED_IN_A_PART[name])
    with pytest.raises(InputError, match=r"damaged one.*a\.jpg"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_jpeg_is_read(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(WHOLE[name])
    assert read_image(path).shape == PICTURE.shape
    assert not HEARS or capfd.readouterr() == ("", "")


def test_missing_bytes_show_in_the_pixels_where_nothing_is_heard(capfd: pytest.CaptureFixture[str]) -> None:
    for content, expected in [(c, True) for c in DAMAGED.values()] + [(c, False) for c in WHOLE.values()]:
        pixels = cv2.imdecode(numbers(content), cv2.IMREAD_COLOR)
        assert pixels is not None and runs_out(numbers(content), pixels) == expected


def test_a_damaged_png_is_refused_in_one_voice(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(without(cv2.imencode(".png", PICTURE)[1].tobytes(), 300))
    with pytest.raises(InputError, match=r"damaged.*a\.png"):
        read_image(path)
    assert not HEARS or capfd.readouterr() == ("", "")


def test_threads_do_not_take_each_others_damage_for_theirs(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.jpg" for index in range(60)]
    for index, path in enumerate(paths):
        path.write_bytes(DAMAGED["bytes missing"] if index % 3 == 0 else WHOLE["plain"])

    def refused(path: Path) -> bool:
        try:
            read_image(path)
        except InputError:
            return True
        return False

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(refused, paths)) == [index % 3 == 0 for index in range(60)]


@linux
def test_what_others_say_on_stderr_comes_through(capfd: pytest.CaptureFixture[str]) -> None:
    libc = ctypes.CDLL(None)
    libc.fputs.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
    libc.fputs(b"of another library\n", ctypes.c_void_p.in_dll(libc, "stderr"))
    os.write(2, b"of the process\n")
    assert capfd.readouterr().err == "of another library\nof the process\n"


def test_a_process_that_heard_ends_well() -> None:
    program = """
import atexit, ctypes
libc = ctypes.CDLL(None)
before = ctypes.c_void_p.in_dll(libc, "stderr").value if hasattr(libc, "fopencookie") else None
atexit.register(lambda: print(before is None or ctypes.c_void_p.in_dll(libc, "stderr").value == before))
import endoseg_cli.pictures.images
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "True\n", "")
