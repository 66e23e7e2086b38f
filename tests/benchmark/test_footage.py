from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.benchmark.footage import GivenVideo, RenderedVideo, parse_sizes, render_pictures, to_and_fro
from endoseg_cli.errors import InputError, MissingInputError, UsageError
from endoseg_cli.video.reading.reader import VideoReader
from tests.inference.brightness import decode
from tests.video.rendering import Clip


def test_sizes_have_names_or_numbers() -> None:
    found = parse_sizes("720p, 64x48")
    assert [(size.name, size.width, size.height) for size in found] == [("720p", 1280, 720), ("64x48", 64, 48)]


@pytest.mark.parametrize("text", ["", "big", "720p,,480p", "720p,1280x720", "0x48", "64x9999", "64"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--sizes"):
        parse_sizes(text)


def test_pictures_go_forwards_and_backwards() -> None:
    assert [to_and_fro(index, 4) for index in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [to_and_fro(index, 1) for index in range(3)] == [0, 0, 0]


def test_a_rendered_video_is_as_long_as_it_must_be_and_shows_its_pictures(tmp_path: Path) -> None:
    pictures = render_pictures(48)
    [size] = parse_sizes("64x48")
    video = RenderedVideo(tmp_path, size, pictures)
    video.ready(5)
    with VideoReader(video.path) as reader:
        shown = [frame.rgb.astype(np.int16) for frame in reader]
    assert video.info.upright_size == (48, 64) and len(shown) == 48
    assert video.end(10) == 0.4
    steps = [float(np.abs(one - other).mean()) for one, other in pairwise(shown)]
    assert 0.5 < np.mean(steps) < 20, "successive frames differ by motion and grain, as a camera's do"
    assert np.abs(shown[0] - shown[22]).mean() < 0.5 * np.abs(shown[0] - shown[11]).mean(), "and come back"
    video.ready(60)
    assert len(decode(video.path)[0]) == 60


def test_a_given_video_must_be_a_file_to_read_again_and_again(tmp_path: Path, render: Callable[[Clip], Path]) -> None:
    video = GivenVideo(render(Clip(name="in.mp4", frames=6)))
    video.ready(100)
    assert video.name == "in.mp4" and video.end(5) == pytest.approx(0.2)
    with pytest.raises(MissingInputError, match="no such video"):
        GivenVideo(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="found a folder"):
        GivenVideo(tmp_path)
    with pytest.raises(InputError, match="found a pipe or device"):
        GivenVideo(Path("/dev/null"))
