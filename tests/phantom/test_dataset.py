from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.phantom.dataset import clip_frames, clip_scene, prepare_folder, render_phantom, render_still
from endoseg_cli.phantom.world.config import ClipConfig, PhantomConfig
from endoseg_cli.video.reading.reader import VideoReader

SMALL = PhantomConfig(size=(48, 64), seed=3)
SHORT = ClipConfig(seconds=0.6, frames_per_second=10)


@pytest.mark.parametrize("scene", ["colon", "ureter"])
def test_same_seed_same_stills_whatever_came_before(scene: str) -> None:
    config = PhantomConfig(size=(48, 64), seed=3, scene=scene)
    first = [render_still(config, index) for index in range(3)]
    again = render_still(config, 2)
    np.testing.assert_array_equal(again.picture, first[2].picture)
    np.testing.assert_array_equal(again.mask, first[2].mask)
    assert not np.array_equal(first[0].picture, first[1].picture)


def test_seed_and_scene_change_the_picture() -> None:
    pictures = [
        render_still(PhantomConfig(size=(48, 48), scene=scene, seed=seed), 0).picture
        for scene, seed in (("colon", 0), ("colon", 1), ("ureter", 0))
    ]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(pictures[first].astype(int) - pictures[second]).mean() > 5


@pytest.mark.parametrize("size", [(64, 64), (33, 57), (50, 31), (16, 16)])
def test_sizes_are_kept_and_masks_are_binary(size: tuple[int, int]) -> None:
    still = render_still(PhantomConfig(size=size, lesion_fraction=(0.05, 0.4)), 0)
    assert still.picture.shape == (*size, 3) and still.picture.dtype == np.uint8
    assert still.mask.shape == size and set(np.unique(still.mask)) == {0, 255}


@pytest.mark.parametrize("scene", ["colon", "ureter"])
@pytest.mark.parametrize("bounds", [(0.02, 0.04), (0.3, 0.45)])
def test_lesions_cover_what_was_asked_for(scene: str, bounds: tuple[float, float]) -> None:
    config = PhantomConfig(size=(64, 64), scene=scene, lesion_fraction=bounds, empty_fraction=0)
    for index in range(5):
        still = render_still(config, index)
        assert bounds[0] <= (still.mask > 0).mean() <= bounds[1]


def test_the_share_of_empty_stills_is_exact_and_only_they_are_empty() -> None:
    config = PhantomConfig(size=(32, 32), empty_fraction=0.4)
    empty = [not render_still(config, index).mask.any() for index in range(10)]
    assert sum(empty) == 4
    assert not any(render_still(PhantomConfig(size=(32, 32), empty_fraction=1), index).mask.any() for index in range(3))


def test_a_range_that_no_frame_can_meet_is_refused() -> None:
    with pytest.raises(UsageError, match="no scene found"):
        render_still(PhantomConfig(size=(16, 16), lesion_fraction=(0.0301, 0.0302), empty_fraction=0), 0)


def test_written_stills_are_the_rendered_ones(tmp_path: Path) -> None:
    paths = render_phantom(tmp_path, SMALL, SHORT, stills=3, clips=0)
    images, masks = (sorted((tmp_path / folder).iterdir()) for folder in ("images", "masks"))
    assert [path.name for path in images] == [path.name for path in masks] and len(images) == 3
    for index, (image, mask) in enumerate(zip(images, masks, strict=True)):
        still = render_still(SMALL, index)
        np.testing.assert_array_equal(read(image)[..., ::-1], still.picture)
        np.testing.assert_array_equal(read(mask), still.mask)
    record = json.loads((tmp_path / "phantom.json").read_text())
    assert [each["name"] for each in record["stills"]] == [path.stem for path in images]
    assert record["stills"][0]["lesion_fraction"] == pytest.approx((read(masks[0]) > 0).mean(), abs=1e-5)
    assert paths == [tmp_path / "images", tmp_path / "phantom.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "masks", "phantom.json"]


def test_written_clip_shows_the_frames_that_its_masks_belong_to(tmp_path: Path) -> None:
    render_phantom(tmp_path, SMALL, SHORT, stills=0, clips=1)
    frames = list(clip_frames(clip_scene(SMALL, SHORT, 0), SMALL.size, SHORT))
    assert len(frames) == 6
    masks = sorted((tmp_path / "clips" / "colon-0003-000_masks").iterdir())
    with VideoReader(tmp_path / "clips" / "colon-0003-000.mp4") as video:
        decoded = list(video)
        assert video.info.average_rate == Fraction(10)
    assert [path.name for path in masks] == [f"{index:06d}.png" for index in range(6)]
    for index, (mask, shown) in enumerate(zip(masks, decoded, strict=True)):
        np.testing.assert_array_equal(read(mask), frames[index].mask)
        apart = [np.abs(shown.rgb.astype(int) - frame.picture).mean() for frame in frames]
        assert np.argmin(apart) == index and apart[index] < 12
    record = json.loads((tmp_path / "phantom.json").read_text())
    assert len(record["clips"][0]["frames"]) == 6


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"not empty|found other files"):
            prepare_folder(tmp_path, overwrite=overwrite)
    assert (tmp_path / "mine.txt").read_text() == "keep"
    with pytest.raises(OutputError, match="found a file"):
        prepare_folder(tmp_path / "mine.txt", overwrite=True)


def test_overwrite_replaces_an_earlier_phantom_and_nothing_else(tmp_path: Path) -> None:
    render_phantom(tmp_path, SMALL, SHORT, stills=3, clips=0)
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not empty"):
        render_phantom(tmp_path, SMALL, SHORT, stills=1, clips=0)
    assert len(list((tmp_path / "images").iterdir())) == 3
    render_phantom(tmp_path, SMALL, SHORT, stills=1, clips=0, overwrite=True)
    assert len(list((tmp_path / "images").iterdir())) == 1
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_an_interrupted_phantom_can_be_overwritten(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_phantom(tmp_path, SMALL, SHORT, stills=2, clips=0, progress=interrupt)
    render_phantom(tmp_path, SMALL, SHORT, stills=2, clips=0, overwrite=True)
    assert len(json.loads((tmp_path / "phantom.json").read_text())["stills"]) == 2


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    render_phantom(tmp_path, SMALL, SHORT, stills=2, clips=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2), *((frame, 6) for frame in range(1, 7))]


def read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return np.asarray(picture, np.uint8)
