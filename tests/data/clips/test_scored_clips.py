from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.data.clips.scored_clips import find_clips, read_clip
from endoseg_cli.errors import InputError, MissingInputError
from endoseg_cli.pictures.images import write_png
from tests.inference.brightness import disc_mask, disc_picture
from tests.video.rendering import Clip

Render = Callable[[Clip], Path]
SIZE = (48, 64)


def write_masks(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        write_png(folder / f"{index:06d}.png", disc_mask(index))


def close(found: NDArray[np.bool_] | None, expected: NDArray[np.bool_]) -> bool:
    return found is not None and int((found != expected).sum()) <= 12


@pytest.fixture
def video(render: Render) -> Path:
    return render(Clip(name="a.mp4", picture=disc_picture, frames=6))


def test_a_video_with_a_folder_of_masks(video: Path) -> None:
    write_masks(video.with_name("a_masks"), 6)
    [clip] = find_clips(video)
    frames = list(read_clip(clip, SIZE))
    assert clip.name == "a.mp4" and [frame.time for frame in frames] == pytest.approx([i / 25 for i in range(6)])
    for index, frame in enumerate(frames):
        assert frame.picture.shape == (*SIZE, 3) and frame.truth is not None
        assert np.array_equal(frame.truth, disc_mask(index))
    small = next(read_clip(clip, (24, 32)))
    assert small.picture.shape == (24, 32, 3) and small.truth is not None and small.truth.shape == (24, 32)


def test_a_video_with_a_video_of_masks_which_is_no_clip_itself(video: Path, render: Render) -> None:
    render(Clip(name="a_masks.mkv", codec="ffv1", picture=disc_picture, frames=6))
    [clip] = find_clips(video.parent)
    assert all(close(frame.truth, disc_mask(index)) for index, frame in enumerate(read_clip(clip, SIZE)))


def test_a_video_without_masks(video: Path) -> None:
    [clip] = find_clips(video)
    assert clip.masks is None and [frame.truth for frame in read_clip(clip, SIZE)] == [None] * 6


@pytest.mark.parametrize(("count", "found"), [(5, "fewer"), (7, "more")])
def test_masks_that_do_not_match_the_frames_are_refused(video: Path, count: int, found: str) -> None:
    write_masks(video.with_name("a_masks"), count)
    [clip] = find_clips(video)
    with pytest.raises(InputError, match=f"a mask for each frame of .*a.mp4, found {found} masks"):
        list(read_clip(clip, SIZE))


def test_folders_of_frames_are_clips_in_natural_order(tmp_path: Path) -> None:
    for group in ("p1", "p2"):
        for index in (10, 2, 1):
            for kind, pixels in (("images", disc_picture(index, SIZE)), ("masks", disc_mask(index))):
                path = tmp_path / kind / group / f"frame{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_png(path, pixels)
    clips = find_clips(tmp_path)
    assert [clip.name for clip in clips] == ["p1", "p2"]
    frames = list(read_clip(clips[1], SIZE))
    assert [frame.time for frame in frames] == [0, 0.04, 0.08]
    for index, frame in zip((1, 2, 10), frames, strict=True):
        assert frame.truth is not None and np.array_equal(frame.truth, disc_mask(index))
    [plain] = find_clips(tmp_path / "images" / "p1")
    assert plain.masks is None and [frame.truth for frame in read_clip(plain, SIZE)] == [None] * 3


def test_paths_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").touch()
    with pytest.raises(MissingInputError, match="no such file or folder"):
        find_clips(tmp_path / "none")
    with pytest.raises(MissingInputError, match="no video and no picture"):
        find_clips(tmp_path)
    with pytest.raises(InputError, match="expected a video or a folder"):
        find_clips(tmp_path / "note.txt")


def half(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The discs, in front of tissue at the left and of nothing at the right."""
    picture = disc_picture(index, size)
    picture[:, 40:] = 0
    return picture


@pytest.mark.parametrize("kind", ["masks", "mask video", "pictures"])
def test_frames_and_masks_are_cropped_to_the_endoscopes_picture(render: Render, tmp_path: Path, kind: str) -> None:
    if kind == "pictures":
        for index in range(3):
            (tmp_path / "images").mkdir(exist_ok=True)
            write_png(tmp_path / "images" / f"{index}.png", half(index, SIZE))
        write_masks(tmp_path / "masks", 3)
        for index in range(3):
            (tmp_path / "masks" / f"{index:06d}.png").rename(tmp_path / "masks" / f"{index}.png")
        [clip] = find_clips(tmp_path)
    else:
        video = render(Clip(name="a.mp4", picture=half, frames=3))
        if kind == "masks":
            write_masks(video.with_name("a_masks"), 3)
        else:
            render(Clip(name="a_masks.mkv", codec="ffv1", picture=disc_picture, frames=3))
        [clip] = find_clips(video)
    for index, frame in enumerate(read_clip(clip, (48, 40), crop=True)):
        assert frame.picture[4:-4, :-3].min() > 20, "no border is left"
        assert frame.truth is not None and (frame.truth != disc_mask(index)[:, :40]).sum() < 40
