from __future__ import annotations

from pathlib import Path

import numpy as np

from endoseg_cli.data.sets.similarity import near_duplicates, pixel_digest, thumbnail
from endoseg_cli.pictures.images import read_image
from tests.data.drawing import draw_frame, save


def test_equal_pixels_have_one_digest_whatever_the_file(tmp_path: Path) -> None:
    frame = draw_frame(0)
    png, bmp = save(tmp_path / "a.png", frame), save(tmp_path / "b.bmp", frame)
    assert pixel_digest(read_image(png)) == pixel_digest(read_image(bmp)) == pixel_digest(frame)
    changed = frame.copy()
    changed[3, 4, 1] ^= 1
    assert pixel_digest(changed) != pixel_digest(frame)
    assert pixel_digest(frame.reshape(-1, 16, 3)) != pixel_digest(frame)


def test_near_copies_are_found_and_strangers_are_not() -> None:
    frames = [draw_frame(seed, (96, 128)) for seed in range(6)]
    brighter = np.clip(frames[2].astype(int) + 12, 0, 255).astype(np.uint8)
    neighbour = np.roll(frames[4], 1, axis=1)
    pairs = near_duplicates([thumbnail(f) for f in frames], [thumbnail(f) for f in (neighbour, brighter)])
    assert {(i, j) for i, j, _ in pairs} == {(4, 0), (2, 1)}
    assert pairs[0][2] >= pairs[1][2] > 0.95


def test_one_black_rim_makes_no_near_copies() -> None:
    frames = [draw_frame(seed, (96, 128)) for seed in range(8)]
    y, x = np.mgrid[:96, :128]
    outside = (y - 48) ** 2 + (x - 64) ** 2 > 46**2
    for frame in frames:
        frame[outside] = 0
    small = [thumbnail(frame) for frame in frames]
    assert near_duplicates(small[:4], small[4:]) == []


def test_even_pictures_and_empty_lists_resemble_nothing() -> None:
    black = thumbnail(np.zeros((40, 40, 3), dtype=np.uint8))
    assert near_duplicates([black], [black, thumbnail(draw_frame(0))]) == []
    assert near_duplicates([], [black]) == []
