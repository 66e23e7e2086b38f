"""The first video is looked at while torch is imported and the model is loaded; it is the same look, done once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.errors import InputError
from endoseg_cli.inference.inputs import ahead as ahead_module
from endoseg_cli.inference.inputs.ahead import LookAhead, looking_ahead
from endoseg_cli.pictures.field_of_view import FieldOfView
from endoseg_cli.video.reading import reader as reader_module
from endoseg_cli.video.reading.reader import VideoReader, sample_frames
from tests.conftest import Run
from tests.inference.inputs.test_views import BOX, SIZE, Pixels, cropping, endoscope, flickering, near
from tests.networks.tiny import constant_bundle, save_to
from tests.video.rendering import Clip, Picture

Render = Callable[[Clip], Path]
WHOLE = FieldOfView(x=0, y=0, width=SIZE[1], height=SIZE[0])
THREAD = "endoseg-look-ahead"


def whole(index: int, size: tuple[int, int]) -> Picture:
    return np.full((*size, 3), (150, 90, 90), np.uint8)


def late(index: int, size: tuple[int, int]) -> Picture:
    """The whole frame at first, an endoscope's picture from second 4 on."""
    return whole(index, size) if index < 16 else endoscope(size=size)


def clip(render: Render, name: str, picture: Callable[[int, tuple[int, int]], Picture], frames: int = 12) -> Path:
    return render(Clip(name=name, size=SIZE, frames=frames, time_base=Fraction(1, 4), picture=picture))


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Which files were looked at, and whether ahead."""
    seen: list[tuple[str, bool]] = []

    def counted(path: Path, *rest: float, **named: float | None) -> Iterator[tuple[int, float, Pixels]]:
        seen.append((path.name, threading.current_thread().name == THREAD))
        return sample_frames(path, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(reader_module, "sample_frames", counted)
    return seen


def test_it_sees_what_the_reader_would(render: Render) -> None:
    path = clip(render, "a.mkv", flickering)
    ahead = LookAhead(path)
    seen = ahead.of(path)
    assert seen is not None and ahead.of(path.with_name("b.mkv")) is None
    with VideoReader(path) as reader:
        expected = reader.find_field_of_view()
        assert near(expected) and seen().view == expected
        part, wanted = seen().part, reader.beginning.part
        assert part is not None and wanted is not None and np.array_equal(part, wanted)
    ahead.close()


def test_a_start_is_looked_at_from_there_on_and_not_ahead(
    endoseg: Callable[..., Run], render: Render, tmp_path: Path, looked: list[tuple[str, bool]]
) -> None:
    model = save_to(tmp_path, cropping(constant_bundle(8.0)))
    path = clip(render, "a.mkv", late, frames=24)
    words = ("segment", path, "--weights", model, "--out", tmp_path / "m.mp4", "--overwrite", "--json")
    for more, box, ahead in (((), WHOLE, True), (("--start", "3.9"), BOX, False)):
        run = endoseg(*words, *more)
        assert near(FieldOfView(**json.loads(run.stdout)["results"][0]["field_of_view"]), box)
        assert looked.pop() == ("a.mkv", ahead)


def test_each_video_has_its_own_box_and_is_looked_at_once(
    endoseg: Callable[..., Run], render: Render, tmp_path: Path, looked: list[tuple[str, bool]]
) -> None:
    model = save_to(tmp_path, cropping(constant_bundle(8.0)))
    paths = [clip(render, "a.mkv", flickering), clip(render, "b.mkv", whole)]
    run = endoseg("segment", *paths, "--weights", model, "--out", tmp_path / "out", "--json")
    assert run.code == 0, run.stderr
    boxes = [FieldOfView(**result["field_of_view"]) for result in json.loads(run.stdout)["results"]]
    assert near(boxes[0]) and boxes[1] == WHOLE
    assert looked == [("a.mkv", True), ("b.mkv", False)]


def test_several_processes_look_by_themselves(endoseg: Callable[..., Run], render: Render, tmp_path: Path) -> None:
    model = save_to(tmp_path, cropping(constant_bundle(8.0)))
    paths = [clip(render, "a.mkv", flickering), clip(render, "b.mkv", whole)]
    run = endoseg("segment", *paths, "--weights", model, "--out", tmp_path / "out", "--jobs", "2", "--json")
    assert run.code == 0, run.stderr
    boxes = [FieldOfView(**result["field_of_view"]) for result in json.loads(run.stdout)["results"]]
    assert near(boxes[0]) and boxes[1] == WHOLE


@pytest.mark.parametrize("view", ["off", "48,16,64,64"])
def test_nothing_is_looked_for_where_the_view_is_known(
    endoseg: Callable[..., Run], render: Render, tmp_path: Path, looked: list[tuple[str, bool]], view: str
) -> None:
    model = save_to(tmp_path, cropping(constant_bundle(8.0)))
    path = clip(render, "a.mkv", flickering)
    run = endoseg("segment", path, "--weights", model, "--out", tmp_path / "m.mp4", "--field-of-view", view)
    assert run.code == 0 and not looked


def test_only_a_file_of_a_video_is_looked_at(render: Render, tmp_path: Path) -> None:
    path = clip(render, "a.mkv", whole)
    for given in (None, str(tmp_path), str(tmp_path / "absent.mkv"), str(tmp_path / "*.mkv"), "-", f"file:{path}"):
        with looking_ahead(given) as ahead:
            assert ahead is None, given
    with looking_ahead(str(path)) as ahead:
        assert ahead is not None


def test_looking_needs_no_torch() -> None:
    code = "import sys; import endoseg_cli.inference.inputs.ahead; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_video_that_cannot_be_read_fails_as_it_does_without(endoseg: Callable[..., Run], tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("not a video")
    ahead = LookAhead(path)
    found = ahead.of(path)
    assert found is not None
    with pytest.raises(InputError):
        found()
    ahead.close()
    with_look = endoseg("segment", path, "--out", tmp_path / "m.mp4")
    without = endoseg("segment", path, "--out", tmp_path / "m.mp4", "--field-of-view", "off")
    assert with_look == without and with_look.code == 3 and "a.mp4" in with_look.stderr


def test_it_stops_with_the_job_where_the_model_cannot_be_loaded(
    endoseg: Callable[..., Run], render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []

    def endless(path: Path, start: float | None) -> Generator[tuple[float, Pixels]]:
        while True:
            shown.append(1)
            time.sleep(0.01)
            yield 0.0, endoscope(3)

    monkeypatch.setattr(ahead_module, "looks_at", endless)
    model = tmp_path / "model.safetensors"
    model.write_text("none")
    run = endoseg("segment", clip(render, "a.mkv", whole), "--weights", model, "--out", tmp_path / "m.mp4")
    assert run.code == 5 and "model.safetensors" in run.stderr
    count = len(shown)
    assert count and THREAD not in {thread.name for thread in threading.enumerate()}
    time.sleep(0.05)
    assert len(shown) == count
