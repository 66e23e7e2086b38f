from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.errors import OutputError
from endoseg_cli.phantom.clip_file import ClipFile, to_planes
from endoseg_cli.video.reading.reader import VideoReader


def test_colours_survive(tmp_path: Path) -> None:
    colours = [(200, 60, 40), (20, 20, 20), (235, 235, 235), (40, 160, 60), (60, 60, 190)]
    with ClipFile(tmp_path / "a.mp4", (33, 47), Fraction(25), overwrite=False) as video:
        for colour in colours:
            video.write(np.full((33, 47, 3), colour, np.uint8))
    with VideoReader(tmp_path / "a.mp4") as reader:
        frames = list(reader)
    assert len(frames) == len(colours)
    for frame, colour in zip(frames, colours, strict=True):
        assert np.abs(frame.rgb[4:-4, 4:-4].astype(int) - colour).max() <= 4
    assert [float(frame.time) for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])


def test_planes_are_even_and_in_limited_range() -> None:
    planes = to_planes(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    assert planes.y.shape == (6, 8) and planes.u.shape == planes.v.shape == (3, 4)
    assert planes.y.min() >= 16 and planes.y.max() <= 235


def test_an_interrupted_clip_does_not_get_its_name(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        ClipFile(tmp_path / "a.mp4", (32, 32), Fraction(25), overwrite=False) as video,
    ):
        video.write(np.zeros((32, 32, 3), np.uint8))
        raise KeyboardInterrupt
    assert not (tmp_path / "a.mp4").exists()


def test_a_clip_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        ClipFile(tmp_path / "a.mp4", (32, 32), Fraction(25), overwrite=False)
