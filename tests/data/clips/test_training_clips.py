from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.data.clips.camera_motion import known_flow, move_camera
from endoseg_cli.data.clips.training_clips import (
    ClipShape,
    estimated_flow,
    sequence_clips,
    still_clips,
    video_clips,
)
from endoseg_cli.data.labels.layout import scan_labeled
from endoseg_cli.errors import InputError
from endoseg_cli.phantom.dataset import render_clips
from endoseg_cli.phantom.world.config import ClipConfig, PhantomConfig
from endoseg_cli.pictures.images import read_mask, write_png
from tests.training.small import save_frames
from tests.video.rendering import Clip, render_clip

SHAPE = ClipShape(frames=7, size=(48, 64), seed=1)


def drawn_still() -> tuple[
    np.ndarray[tuple[int, ...], np.dtype[np.uint8]], np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
]:
    """Return a textured picture with a bright disc, and the disc's mask."""
    noise = np.random.default_rng(0).integers(0, 90, (120, 160, 3), np.uint8)
    image = np.asarray(cv2.GaussianBlur(noise, (5, 5), 0), dtype=np.uint8)
    mask = np.zeros((120, 160), np.uint8)
    cv2.circle(mask, (80, 60), 22, 1, -1)
    image[mask > 0] += 120
    return image, mask > 0


@pytest.mark.parametrize("seed", range(4))
def test_masks_move_with_the_picture(seed: int) -> None:
    image, mask = drawn_still()
    clip = move_camera(image, mask, frames=7, size=(96, 128), speed=1.0, rng=np.random.default_rng(seed))
    assert clip.frames.shape == (7, 96, 128, 3) and clip.masks.shape == (7, 96, 128)
    for frame, moved in zip(clip.frames, clip.masks, strict=True):
        assert frame[moved].mean() > frame[~moved].mean() + 40
    assert not np.array_equal(clip.masks[0], clip.masks[-1])


def test_the_known_flow_leads_from_frame_to_frame() -> None:
    image, mask = drawn_still()
    clip = move_camera(image, mask, frames=7, size=(96, 128), speed=1.0, rng=np.random.default_rng(3))
    flow = known_flow(clip.homographies[0], clip.homographies[4], (96, 128))
    rows, columns = np.nonzero(clip.masks[0])
    x, y = (columns + flow[rows, columns, 0]).round(), (rows + flow[rows, columns, 1]).round()
    inside = (x >= 0) & (x < 128) & (y >= 0) & (y < 96)
    assert np.abs(flow).max() > 2
    assert clip.masks[4][y[inside].astype(int), x[inside].astype(int)].mean() > 0.95


def test_the_estimated_flow_follows_a_shift() -> None:
    image, _ = drawn_still()
    moved = np.roll(image, 4, axis=1)
    flow = estimated_flow(np.stack([image, moved]))
    assert flow.shape == (1, 2, 30, 40)
    assert abs(float(np.median(flow[0, 0, 8:22, 10:30])) - 4) < 1


def test_clips_of_stills_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    save_frames(tmp_path, 3)
    records = scan_labeled(tmp_path).records
    first, again = (list(still_clips(records, 4, SHAPE, "training")) for _ in range(2))
    assert len(first) == 4 and len({clip.group for clip in first}) == 3
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.frames, other.frames) and np.array_equal(one.flow, other.flow)
        assert one.truth is not None and one.flow.shape == (6, 2, 12, 16) and one.interval == 1


def test_sequences_are_read_in_order_and_thinned_to_25_a_second(tmp_path: Path) -> None:
    save_frames(tmp_path, 15)
    records = scan_labeled(tmp_path).records
    (clip,) = sequence_clips(records, 1, SHAPE, 50.0)
    assert clip.truth is not None
    areas = clip.truth.mean((1, 2))
    assert (np.diff(areas) > 0).all(), "the drawn discs grow from file to file, 10.png after 9.png"
    assert clip.interval == 1.0
    assert len(list(sequence_clips(records, 99, SHAPE, 25.0))) == 15 - 7 + 1
    with pytest.raises(InputError, match="sequences of 7 consecutive frames or more, found 1 folders of at most 6"):
        list(sequence_clips(records[:6], 1, SHAPE, 25.0))


def test_videos_give_clips_with_the_masks_beside_them(tmp_path: Path) -> None:
    config, clip = PhantomConfig(size=(48, 64), seed=2), ClipConfig(seconds=1.0, frames_per_second=25)
    render_clips(tmp_path, 1, config, clip)
    (video,) = (tmp_path / "clips").glob("*.mp4")
    first, second = video_clips([video], 2, SHAPE)
    assert first.frames.shape == (7, 48, 64, 3) and first.truth is not None and first.interval == 1
    assert not np.array_equal(first.frames, second.frames)
    masks = sorted((tmp_path / "clips").glob("*_masks/*.png"))
    assert np.array_equal(first.truth[0], read_mask(masks[0]))
    (tmp_path / "alone.mp4").write_bytes(video.read_bytes())
    (without,) = video_clips([tmp_path / "alone.mp4"], 1, SHAPE)
    assert without.truth is None


def bordered(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame with black at the left and right and a bright square that moves, the lesion."""
    frame = np.zeros((*size, 3), np.uint8)
    frame[:, size[1] // 4 : -size[1] // 4] = (140, 70, 70)
    frame[20:30, 40 + index : 50 + index] = 250
    return frame


def is_lesion(pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return pictures[..., 1] > 160


@pytest.mark.parametrize("kind", ["still", "sequence", "video"])
def test_frames_and_masks_are_cropped_together(tmp_path: Path, kind: str) -> None:
    size, shape = (96, 128), replace(SHAPE, size=(96, 64), crop=True)
    pictures = [bordered(index, size) for index in range(9)]
    for index, picture in enumerate(pictures):
        for name, pixels in (("images", picture), ("masks", is_lesion(picture)), ("a_masks", is_lesion(picture))):
            (tmp_path / name).mkdir(exist_ok=True)
            write_png(tmp_path / name / f"{index:06d}.png", pixels)
    if kind == "video":
        video = render_clip(tmp_path, Clip(name="a.mp4", picture=bordered, size=size, frames=9))
        clip = next(video_clips([video], 1, shape))
    else:
        (tmp_path / "frames").mkdir()
        for name in ("images", "masks"):
            (tmp_path / name).rename(tmp_path / "frames" / name)
        records = scan_labeled(tmp_path / "frames").records
        clips = still_clips(records, 1, shape, "t") if kind == "still" else sequence_clips(records, 1, shape, 25.0)
        clip = next(clips)
    assert clip.truth is not None and clip.truth.any()
    assert (clip.truth != is_lesion(clip.frames)).sum() < 40 * len(clip.frames)
    if kind != "still":
        assert clip.frames[:, :, 2:-2, 0].min() > 60, "no border is left"
