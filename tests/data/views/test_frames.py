from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.errors import InputError, MissingInputError
from endoseg_cli.pictures.images import read_image, read_mask
from endoseg_cli.pictures.resize import resize_frame
from tests.data.drawing import draw_frame, draw_mask, save


@pytest.fixture
def files(tmp_path: Path) -> tuple[list[Path], list[Path]]:
    """Three pictures of different sizes, and their masks."""
    sizes = [(48, 64), (30, 20), (100, 50)]
    images = [save(tmp_path / f"{i}.png", draw_frame(i, size)) for i, size in enumerate(sizes)]
    masks = [save(tmp_path / f"{i}-mask.png", draw_mask(size, radius=7)) for i, size in enumerate(sizes)]
    return images, masks


@pytest.mark.parametrize("keep", [True, False])
def test_frames_and_masks_come_by_index(files: tuple[list[Path], list[Path]], keep: bool) -> None:
    images, masks = files
    store = FrameStore(images, masks, size=(128, 128), keep=keep)
    assert len(store) == 3
    for index in range(3):
        frame, mask = store.read(index)
        assert store.path(index) == images[index] and mask is not None and mask.dtype == np.bool_
        assert np.array_equal(frame, read_image(images[index])) and np.array_equal(mask, read_mask(masks[index]))


@pytest.mark.parametrize("keep", [True, False])
def test_no_side_is_kept_larger_than_the_network_can_use(files: tuple[list[Path], list[Path]], keep: bool) -> None:
    images, masks = files
    store = FrameStore(images, masks, size=(24, 40), keep=keep)
    shapes = []
    for index in range(3):
        frame, mask = store.read(index)
        assert mask is not None and mask.shape == frame.shape[:2]
        assert mask.mean() == pytest.approx(read_mask(masks[index]).mean(), abs=0.02)
        shapes.append(frame.shape[:2])
    assert shapes == [(40, 40), (30, 20), (40, 40)]
    assert np.array_equal(store.read(0)[0], resize_frame(read_image(images[0]), (40, 40)))


def test_a_mask_shrinks_to_its_nearest_pixels(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (100, 50), np.uint8) * np.uint8(255)
    files = save(tmp_path / "a.png", draw_frame(0, (100, 50))), save(tmp_path / "m.png", noise)
    mask = FrameStore(files[:1], files[1:], size=(40, 40)).read(0)[1]
    rows, columns = (np.floor((np.arange(40) + 0.5) * side / 40).astype(int) for side in (100, 50))
    assert mask is not None and np.array_equal(mask, noise[np.ix_(rows, columns)] > 0)


def test_a_set_without_masks_has_none(files: tuple[list[Path], list[Path]]) -> None:
    assert all(FrameStore(files[0], None, size=(64, 64)).read(index)[1] is None for index in range(3))


def test_kept_frames_outlive_their_files_and_others_do_not(files: tuple[list[Path], list[Path]]) -> None:
    kept, read = (FrameStore(*files, size=(64, 64), keep=keep) for keep in (True, False))
    files[0][1].unlink()
    assert kept.read(1)[0].shape == (30, 20, 3)
    with pytest.raises(MissingInputError, match=r"1\.png"):
        read.read(1)


def test_a_file_that_cannot_be_read_is_named(files: tuple[list[Path], list[Path]]) -> None:
    files[1][2].write_text("no picture")
    with pytest.raises(InputError, match=r"2-mask\.png"):
        FrameStore(*files, size=(64, 64))


def test_an_empty_set_is_empty() -> None:
    assert len(FrameStore([], [], size=(64, 64))) == 0
