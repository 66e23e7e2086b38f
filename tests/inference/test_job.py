from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from endoseg_cli.errors import EndosegError, InputError, MissingInputError, OutputError
from endoseg_cli.inference.flow.stages import StageSeconds
from endoseg_cli.inference.inputs.sources import Source
from endoseg_cli.inference.job import JobResult, run_job
from endoseg_cli.inference.pipeline import Outcome, Progress, SegmentConfig
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.write.output_paths import OutputConfig
from endoseg_cli.inference.write.overlay import OverlayConfig
from endoseg_cli.pictures.images import write_png
from tests.inference.brightness import BrightnessPredictor, decode, disc_picture
from tests.video.rendering import Clip

Render = Callable[[Clip], Path]


@dataclass
class Listener:
    """Remembers what it heard."""

    heard: list[str] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    def noted(self, text: str) -> None:
        self.heard.append(f"noted {text}")

    def started(self, source: Source) -> None:
        self.heard.append(f"started {source.path.name}")

    def progressed(self, progress: Progress) -> None:
        self.progress.append(progress)

    def finished(self, outcome: Outcome) -> None:
        self.heard.append(f"finished {outcome.targets.source.path.name}")

    def started_pictures(self, count: int) -> None:
        self.heard.append(f"started {count} pictures")

    def started_many(self, inputs: int, processes: int) -> None:
        self.heard.append(f"started {inputs} inputs")

    def finished_pictures(self, outcomes: Sequence[Outcome], seconds: float, stages: StageSeconds) -> None:
        self.heard.append(f"finished {len(outcomes)} pictures")

    def stopped_pictures(self, done: int, total: int) -> None:
        self.heard.append(f"stopped after {done} of {total} pictures")

    def failed(self, source: Source, error: EndosegError) -> None:
        self.heard.append(f"failed {source.path.name}")

    def kept(self, parts: Sequence[Path], frames: int) -> None:
        self.heard.append(f"kept {len(parts)} {frames}")


@pytest.fixture
def inputs(render: Render, tmp_path: Path) -> Path:
    """A folder of a video, a picture, and a text that calls itself a video."""
    folder = tmp_path / "in"
    folder.mkdir()
    render(Clip(name="in/a.mp4", picture=disc_picture, frames=6))
    write_png(folder / "b.png", disc_picture(0, (48, 64)))
    return folder


def run(paths: Sequence[Path], listener: Listener | None = None, **outputs: Any) -> JobResult:
    texts = [str(path) for path in paths]
    return run_job(
        texts,
        OutputConfig(**outputs),
        BrightnessPredictor,
        OverlayConfig(),
        SegmentConfig(overwrite=outputs.get("overwrite", False)),
        listener or Listener(),
    )


def test_a_folder_of_videos_and_pictures_becomes_a_folder_and_one_table(inputs: Path, tmp_path: Path) -> None:
    listener = Listener()
    result = run([inputs], listener, masks=tmp_path / "out", records=tmp_path / "t.csv")
    assert not result.damaged and listener.heard == [
        "started a.mp4",
        "finished a.mp4",
        "started b.png",
        "finished b.png",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4", "b.png"]
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert [(row["input"], row["frame"], row["time"]) for row in rows] == [
        *(("a.mp4", str(i), f"{i / 25:g}" if i else "0.0") for i in range(6)),
        ("b.png", "0", ""),
    ]
    assert [int(row["regions"]) for row in rows] == [1, 1, 1, 1, 0, 1, 1]
    assert [progress.frames for progress in listener.progress] == list(range(1, 7))


def test_one_input_that_fails_does_not_stop_the_others(inputs: Path, tmp_path: Path) -> None:
    (inputs / "aa.mp4").write_text("not a video")
    (inputs / "ab.png").write_text("not a picture")
    listener = Listener()
    result = run([inputs], listener, masks=tmp_path / "out")
    assert result.damaged and [source.path.name for source, _ in result.failures] == ["aa.mp4", "ab.png"]
    assert all(isinstance(error, InputError) for _, error in result.failures)
    assert listener.heard.count("failed aa.mp4") == 1 and listener.heard[-1] == "finished 1 pictures"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4", "b.png"]


def test_the_only_input_raises_its_own_error(inputs: Path, tmp_path: Path) -> None:
    (inputs / "c.mp4").write_text("not a video")
    with pytest.raises(InputError, match=r"c\.mp4"):
        run([inputs / "c.mp4"], masks=tmp_path / "m.mp4", records=tmp_path / "t.csv")
    assert not (tmp_path / "m.mp4").exists() and not (tmp_path / "t.csv").exists()


def test_inputs_and_outputs_are_checked_before_the_model_is_loaded(inputs: Path, tmp_path: Path) -> None:
    def load() -> Predictor:
        raise AssertionError("the model must not be loaded")

    (tmp_path / "m.mp4").touch()
    for paths, kind in (([str(inputs / "absent.mp4")], MissingInputError), ([str(inputs / "a.mp4")], OutputError)):
        with pytest.raises(kind):
            run_job(paths, OutputConfig(masks=tmp_path / "m.mp4"), load, OverlayConfig(), SegmentConfig(), Listener())


def test_what_an_interruption_keeps_is_told(render: Render, tmp_path: Path) -> None:
    path = render(Clip(name="a.mp4", picture=disc_picture, frames=60))

    class Interrupting(Listener):
        def progressed(self, progress: Progress) -> None:
            if progress.frames == 20:
                raise KeyboardInterrupt

    listener = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        run([path], listener, masks=tmp_path / "m.mp4")
    assert listener.heard == ["started a.mp4", "kept 1 20"]
    assert len(decode(tmp_path / "m.mp4.endoseg.part")[0]) == 20 and not (tmp_path / "m.mp4").exists()


def test_pictures_of_several_classes_are_not_overwritten_unasked(inputs: Path, tmp_path: Path) -> None:
    class TwoClasses(BrightnessPredictor):
        def __init__(self) -> None:
            super().__init__(classes=2)
            self.card = replace(
                self.card, architecture=replace(self.card.architecture, classes=2), class_names=("bright", "dark")
            )

    def segment(overwrite: bool) -> JobResult:
        outputs = OutputConfig(mask_pictures=tmp_path / "p", records=tmp_path / "t.csv", overwrite=overwrite)
        config = SegmentConfig(overwrite=overwrite)
        return run_job([str(inputs)], outputs, TwoClasses, OverlayConfig(), config, Listener())

    segment(False)
    names = [path.relative_to(tmp_path / "p").as_posix() for path in (tmp_path / "p").rglob("*.png")]
    assert len(names) == 14 and {"a/bright/000000.png", "a/dark/000005.png", "dark/b.png"} <= set(names)
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert [(row["frame"], row["class_name"]) for row in rows[:4]] == [
        ("0", "bright"),
        ("0", "dark"),
        ("1", "bright"),
        ("1", "dark"),
    ]
    (tmp_path / "t.csv").unlink()
    with pytest.raises(OutputError, match="already"):
        segment(False)
    assert not segment(True).damaged
