"""Whatever stops a video in the middle: what was done is kept, nothing takes the final name, nothing hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from endoseg_cli.errors import DeviceError, InputError, OutputError
from endoseg_cli.inference.pipeline import SegmentConfig, segment_video
from endoseg_cli.inference.predict.predictor import Pixels, Probability
from endoseg_cli.inference.write.products import VideoProducts
from endoseg_cli.inference.write.records import RecordsWriter
from endoseg_cli.video.geometry.planes import Planes
from endoseg_cli.video.reading.reader import Frame, VideoReader
from endoseg_cli.video.writing.writer import MaskWriter, OverlayWriter
from tests.inference.brightness import STYLE, BrightnessPredictor, decode, disc_picture, targets_for
from tests.video.rendering import Clip

pytestmark = pytest.mark.timeout(30)
Render = Callable[[Clip], Path]
FRAMES = 60


class Failing(BrightnessPredictor):
    """Raises an error in its third batch of four frames."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(batch_size=4)
        self._error = error

    def predict(self, frames: Sequence[Pixels]) -> Probability:
        if len(self.batches) == 5:
            raise self._error
        return super().predict(frames)


@pytest.fixture
def clip(render: Render) -> Path:
    return render(Clip(name="in.mp4", picture=disc_picture, frames=FRAMES))


def run(path: Path, predictor: BrightnessPredictor, kind: type[BaseException]) -> list[VideoProducts]:
    """Segment a clip into its own folder, expecting an error; return what `on_interrupted` was told."""
    told: list[VideoProducts] = []
    folder = path.parent
    targets = targets_for(path, masks=folder / "m.mp4", overlay=folder / "o.mkv")
    with pytest.raises(kind), RecordsWriter(folder / "t.csv") as records:
        segment_video(targets, predictor, STYLE, SegmentConfig(), records, on_interrupted=told.append)
    assert not any(thread.name.startswith("endoseg-") for thread in threading.enumerate())
    return told


def check_parts(folder: Path, products: VideoProducts, *, at_least: int) -> None:
    assert sorted(file.name for file in folder.iterdir()) == [
        "in.mp4",
        "m.mp4.endoseg.part",
        "o.mkv.endoseg.part",
        "t.csv.endoseg.part",
    ]
    assert products.parts == [folder / "m.mp4.endoseg.part", folder / "o.mkv.endoseg.part"]
    frames = len(decode(folder / "m.mp4.endoseg.part")[0])
    rows = len((folder / "t.csv.endoseg.part").read_text().splitlines()) - 1
    assert at_least <= products.frames <= frames <= products.frames + 1 < FRAMES
    assert products.frames <= rows <= products.frames + 1
    assert len(decode(folder / "o.mkv.endoseg.part")[0]) in (products.frames, products.frames + 1)


@pytest.mark.parametrize("error", [DeviceError("no memory"), KeyboardInterrupt(), SystemExit(143), ValueError("bug")])
def test_when_predicting_fails_or_ctrl_c_is_pressed_the_parts_play(clip: Path, error: BaseException) -> None:
    [products] = run(clip, Failing(error), type(error))
    check_parts(clip.parent, products, at_least=1)


@pytest.mark.parametrize("writer", [MaskWriter, OverlayWriter])
def test_when_writing_fails_the_parts_play(
    clip: Path, writer: type[MaskWriter | OverlayWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = writer.write

    def write(self: MaskWriter | OverlayWriter, picture: Pixels | Planes, pts: int, duration: int) -> None:
        if self.frames_written == 9:
            raise OutputError("cannot write m.mp4.endoseg.part: No space left on device")
        original(self, picture, pts, duration)  # type: ignore[arg-type]

    monkeypatch.setattr(writer, "write", write)
    folder = clip.parent
    [products] = run(clip, BrightnessPredictor(), OutputError)
    assert products.frames == 9
    assert len(decode(folder / "m.mp4.endoseg.part")[0]) in (9, 10) and len(
        decode(folder / "o.mkv.endoseg.part")[0]
    ) in (9, 10)
    assert not (folder / "m.mp4").exists() and not (folder / "o.mkv").exists() and not (folder / "t.csv").exists()


def test_when_reading_fails_the_parts_play(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = VideoReader.__iter__

    def read(self: VideoReader) -> Iterator[Frame]:
        for frame in original(self):
            if frame.index == 40:
                raise InputError("cannot read on: Input/output error")
            yield frame

    monkeypatch.setattr(VideoReader, "__iter__", read)
    [products] = run(clip, BrightnessPredictor(), InputError)
    check_parts(clip.parent, products, at_least=1)


def test_an_error_before_the_first_frame_leaves_no_video(clip: Path) -> None:
    predictor = Failing(KeyboardInterrupt())
    predictor.batches = [0] * 5
    [products] = run(clip, predictor, KeyboardInterrupt)
    assert products.parts == []
    assert sorted(file.name for file in clip.parent.iterdir()) == ["in.mp4", "t.csv.endoseg.part"]


def test_when_the_second_product_cannot_be_finished_it_keeps_its_part(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clip.parent / "o.mkv").mkdir()
    monkeypatch.setattr("endoseg_cli.video.writing.writer.check_target", lambda *_, **__: None)
    told = run(clip, BrightnessPredictor(), OutputError)
    assert told[0].frames == FRAMES and told[0].parts == [clip.parent / "o.mkv.endoseg.part"]
    assert len(decode(clip.parent / "m.mp4")[0]) == FRAMES == len(decode(clip.parent / "o.mkv.endoseg.part")[0])


def test_an_output_that_cannot_be_opened_leaves_nothing(clip: Path) -> None:
    (clip.parent / "file").touch()
    targets = targets_for(clip, masks=clip.parent / "m.mp4", overlay=clip.parent / "file" / "o.mp4")
    with pytest.raises(OutputError, match="is a file, not a folder"):
        segment_video(targets, BrightnessPredictor(), STYLE, SegmentConfig())
    assert sorted(file.name for file in clip.parent.iterdir()) == ["file", "in.mp4"]


def test_running_again_after_an_interruption_completes(clip: Path) -> None:
    run(clip, Failing(KeyboardInterrupt()), KeyboardInterrupt)
    targets = targets_for(clip, masks=clip.parent / "m.mp4")
    segment_video(targets, BrightnessPredictor(), STYLE, SegmentConfig())
    assert len(decode(clip.parent / "m.mp4")[0]) == FRAMES and not (clip.parent / "m.mp4.endoseg.part").exists()
