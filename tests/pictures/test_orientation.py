from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.pictures.images import read_image
from endoseg_cli.pictures.orientation import orientation_of
from tests.data.drawing import draw_frame, save, turn_by_exif

AS_SHOWN = {
    2: lambda picture: picture[:, ::-1],
    3: lambda picture: picture[::-1, ::-1],
    4: lambda picture: picture[::-1],
    5: lambda picture: picture.swapaxes(0, 1),
    6: lambda picture: np.rot90(picture, -1),
    8: lambda picture: np.rot90(picture),
}


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", AS_SHOWN)
def test_the_orientation_is_that_which_pictures_are_shown_by(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = save(tmp_path / f"a{suffix}", draw_frame(5))
    assert orientation_of(path) == 1
    assert orientation_of(turn_by_exif(path, orientation)) == orientation
    assert np.abs(read_image(path).astype(int) - AS_SHOWN[orientation](draw_frame(5))).mean() < 5


def test_files_without_a_sound_orientation_have_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    assert orientation_of(path) == 1
    little = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 3, 0, 0)
    for content, expected in ((b"", 1), (little, 3), (little[:14], 1), (b"Exif\0\0MM\0*", 1), (b"eXIf" + little, 3)):
        path.write_bytes(content)
        assert orientation_of(path) == expected
