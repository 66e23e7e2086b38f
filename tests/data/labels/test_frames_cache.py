from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.data.labels.frames_cache import cached_frames, default_cache_folder
from endoseg_cli.errors import InputError, MissingInputError, OutputError
from endoseg_cli.pictures.images import read_image
from tests.data.drawing import draw_frame, save_video


def test_frames_are_sampled_named_by_index_and_look_like_the_video(tmp_path: Path) -> None:
    frames = cached_frames(save_video(tmp_path / "clip.avi", frames=20, rate=10.0), 2.0, tmp_path / "cache")
    assert [int(frame.stem) for frame in frames] == [0, 5, 10, 15]
    shown = np.roll(draw_frame(0), 10, axis=1)
    assert np.abs(read_image(frames[2]).astype(int) - shown).mean() < 8


def test_a_second_call_decodes_nothing(tmp_path: Path) -> None:
    video = save_video(tmp_path / "clip.avi")
    first = cached_frames(video, 2.0, tmp_path / "cache")
    before = [frame.stat().st_mtime_ns for frame in first]
    status = video.stat()
    video.write_bytes(b"x" * status.st_size)  # no decoder could read it now
    os.utime(video, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert cached_frames(video, 2.0, tmp_path / "cache") == first
    assert [frame.stat().st_mtime_ns for frame in first] == before


def test_a_changed_video_is_decoded_again(tmp_path: Path) -> None:
    video = save_video(tmp_path / "clip.avi", frames=20)
    first = cached_frames(video, 2.0, tmp_path / "cache")
    save_video(video, frames=40, seed=9)
    again = cached_frames(video, 2.0, tmp_path / "cache")
    assert (len(first), len(again)) == (4, 8)
    assert np.abs(read_image(again[0]).astype(int) - draw_frame(9)).mean() < 8


def test_an_incomplete_folder_is_decoded_again(tmp_path: Path) -> None:
    video = save_video(tmp_path / "clip.avi")
    cached_frames(video, 2.0, tmp_path / "cache")[1].unlink()
    assert len(cached_frames(video, 2.0, tmp_path / "cache")) == 4


def test_rates_and_videos_of_one_name_do_not_share_frames(tmp_path: Path) -> None:
    first, second = save_video(tmp_path / "a" / "clip.avi"), save_video(tmp_path / "b" / "clip.avi", seed=5)
    cache = tmp_path / "cache"
    folders = {frames[0].parent for frames in (cached_frames(first, 1.0, cache), cached_frames(first, 2.0, cache))}
    folders.add(cached_frames(second, 1.0, cache)[0].parent)
    assert len(folders) == 3


def test_a_bad_video_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    with pytest.raises(InputError, match=r"broken\.mp4"):
        cached_frames(broken, 1.0, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    with pytest.raises(MissingInputError, match="no such video"):
        cached_frames(tmp_path / "absent.mp4", 1.0, tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(OutputError, match="cannot write the frames") as caught:
        cached_frames(save_video(tmp_path / "clip.avi"), 1.0, tmp_path / "cache")
    assert caught.value.hint is not None


def test_default_cache_follows_the_users_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_folder() == tmp_path / "endoseg" / "frames"
    video = save_video(tmp_path / "clip.avi")
    assert cached_frames(video, 1.0)[0].is_relative_to(tmp_path / "endoseg" / "frames")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_folder() == Path.home() / ".cache" / "endoseg" / "frames"
