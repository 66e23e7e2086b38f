from __future__ import annotations

import os
from pathlib import Path

import pytest

from endoseg_cli.video.geometry.budget import MOST_BYTES, frames_within, threads_within
from endoseg_cli.video.reading.reader import VideoReader
from endoseg_cli.video.writing.writer import OverlayWriter
from tests.video.conftest import Render
from tests.video.rendering import Clip


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (3840, 2160), (7680, 4320)])
def test_frames_stay_within_the_budget(size: tuple[int, int]) -> None:
    width, height = size
    count = frames_within(width, height)
    assert count == 2 or count * width * height * 2.25 <= MOST_BYTES < (count + 1) * width * height * 2.25


def test_large_frames_get_fewer_threads_than_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert threads_within(640, 480) == threads_within(0, 0) == 0, "as many as the codec likes"
    assert threads_within(3840, 2160) == 5
    assert threads_within(3840, 2160, wanted=12) == 12
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert threads_within(3840, 2160) == 0


def test_decoders_and_encoders_keep_to_it(monkeypatch: pytest.MonkeyPatch, render: Render, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr("endoseg_cli.video.geometry.budget.MOST_BYTES", 4 * 64 * 48 * 9 // 4)
    with VideoReader(render(Clip(name="a.mp4"))) as reader:
        assert reader._decoder.stream.thread_count == 4
        with OverlayWriter(tmp_path / "o.mp4", reader.info) as writer:
            assert writer._stream.thread_count == 4
            assert writer._settings.options["x264-params"] == "mbtree=1:rc-lookahead=4"
            writer.abort()
