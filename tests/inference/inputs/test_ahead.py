"""The first video's beginning is looked at while the model is loaded; it is the same look, done once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.errors import InputError
from endoseg_cli.inference.inputs import ahead as ahead_module
from endoseg_cli.inference.inputs.ahead import LookAhead, looking_ahead
from endoseg_cli.inference.inputs.sources import Source
from endoseg_cli.inference.inputs.views import ViewChoice
from endoseg_cli.inference.job import JobResult, run_job
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.write.output_paths import OutputConfig
from endoseg_cli.inference.write.overlay import OverlayConfig
from endoseg_cli.pictures.field_of_view import FieldOfView
from endoseg_cli.video.reading import reader as reader_module
from endoseg_cli.video.reading.reader import VideoReader, sample_frames
from tests.inference.brightness import BrightnessPredictor
from tests.inference.inputs.test_views import BOX, SIZE, Pixels, endoscope, flickering, near
from tests.inference.test_job import Listener
from tests.video.rendering import Clip, Picture

Render = Callable[[Clip], Path]
WHOLE = FieldOfView(x=0, y=0, width=SIZE[1], height=SIZE[0])


def whole(index: int, size: tuple[int, int]) -> Picture:
    return np.full((*size, 3), (150, 90, 90), np.uint8)


def late(index: int, size: tuple[int, int]) -> Picture:
    """The whole frame at first, an endoscope's picture from second 4 on."""
    return whole(index, size) if index < 16 else endoscope(size=size)


def clip(render: Render, name: str, picture: Callable[[int, tuple[int, int]], Picture], frames: int = 12) -> Path:
    return render(Clip(name=name, size=SIZE, frames=frames, time_base=Fraction(1, 4), picture=picture))


def segment(paths: list[Path], out: Path, config: SegmentConfig, load: Callable[[], Predictor]) -> JobResult:
    outputs = OutputConfig(masks=out)
    return run_job([str(path) for path in paths], outputs, load, OverlayConfig(), config, Listener())


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Which files were looked at, and in which thread."""
    seen: list[tuple[str, str]] = []

    def counted(path: Path, *rest: float, **named: float | None) -> Iterator[tuple[int, float, Pixels]]:
        seen.append((path.name, threading.current_thread().name))
        return sample_frames(path, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(reader_module, "sample_frames", counted)
    return seen


@pytest.mark.parametrize(("start", "box"), [(None, WHOLE), (3.9, BOX)])
def test_it_sees_what_the_reader_would(render: Render, start: float | None, box: FieldOfView) -> None:
    path = clip(render, "a.mkv", late, frames=24)
    ahead = LookAhead(path, start)
    with VideoReader(path, start=start) as reader:
        expected = reader.find_field_of_view()
        assert ahead.beginning().view == expected
        part, wanted = ahead.beginning().part, reader.beginning.part
        assert part is not None and wanted is not None and np.array_equal(part, wanted)
    assert near(expected, box)
    ahead.close()


def test_each_video_has_its_own_box_and_is_looked_at_once_the_first_while_the_model_loads(
    render: Render, tmp_path: Path, looked: list[tuple[str, str]]
) -> None:
    paths = [clip(render, "a.mkv", flickering), clip(render, "b.mkv", whole)]

    def load() -> Predictor:
        deadline = time.monotonic() + 20
        while not looked and time.monotonic() < deadline:
            time.sleep(0.01)
        assert looked == [("a.mkv", "endoseg-look-ahead")]  # before the model is there
        return BrightnessPredictor()

    done = segment(paths, tmp_path / "out", SegmentConfig(field_of_view="auto"), load).outcomes
    assert near(done[0].field_of_view) and done[1].field_of_view == WHOLE
    assert [name for name, _ in looked] == ["a.mkv", "b.mkv"] and looked[1][1] != "endoseg-look-ahead"


def test_nothing_is_looked_for_where_the_view_is_known(
    render: Render, tmp_path: Path, looked: list[tuple[str, str]]
) -> None:
    path = clip(render, "a.mkv", flickering)
    views: tuple[ViewChoice, ...] = ("off", BOX)
    for view in views:
        with looking_ahead(Source(path=path, place=Path("a")), view, None) as ahead:
            assert ahead is None
    picture = Source(path=tmp_path / "a.png", place=Path("a"))
    for source in (picture, Source(path=tmp_path / "absent.mp4", place=Path("a"))):
        with looking_ahead(source, "auto", None) as ahead:
            assert ahead is None
    assert not looked


def test_a_video_that_cannot_be_read_fails_as_it_does_without(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("not a video")
    with pytest.raises(InputError) as alone:
        VideoReader(tmp_path / "a.mp4")
    ahead = LookAhead(tmp_path / "a.mp4", None)
    with pytest.raises(InputError) as caught:
        ahead.beginning()
    ahead.close()
    assert str(caught.value) == str(alone.value)


def test_it_stops_with_the_job_where_the_model_cannot_be_loaded(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    asked = threading.Event()

    def endless(path: Path, start: float | None) -> Iterator[tuple[float, Pixels]]:
        while True:
            shown.append(1)
            asked.set()
            time.sleep(0.01)
            yield 0.0, endoscope(3)

    def load() -> Predictor:
        assert asked.wait(20)
        raise InputError("no such model")

    monkeypatch.setattr(ahead_module, "looks_at", endless)
    with pytest.raises(InputError, match="no such model"):
        segment([clip(render, "a.mkv", whole)], tmp_path / "m.mp4", SegmentConfig(), load)
    assert not [thread for thread in threading.enumerate() if thread.name == "endoseg-look-ahead"]
    count = len(shown)
    time.sleep(0.05)
    assert len(shown) == count
