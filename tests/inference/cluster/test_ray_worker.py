"""What a worker of a Ray cluster does, in this process."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import endoseg_cli
from endoseg_cli.errors import DeviceError, EndosegError, InputError, WeightsError
from endoseg_cli.inference.cluster import ray_worker
from endoseg_cli.inference.cluster.ray_worker import Answer, do_task
from endoseg_cli.inference.cluster.video_task import Done, NotSharedError, Order, VideoTask
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.inference.predict.choice import PredictorChoice
from endoseg_cli.inference.write.overlay import OverlayConfig
from tests.inference.brightness import decode, disc_picture, targets_for
from tests.video.rendering import Clip, render_clip


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    yield
    ray_worker._LOADED.clear()


def work(tmp_path: Path, model: Path, *, version: str = endoseg_cli.__version__, **changed: Any) -> Answer:
    path = tmp_path / "in.mp4"
    if not path.exists():
        render_clip(tmp_path, Clip(name="in.mp4", picture=disc_picture, frames=5))
    order = Order(
        job="1",
        config=SegmentConfig(),
        overlay=OverlayConfig(),
        ledger=tmp_path / ".endoseg",
        wants_records=False,
        wants_annotations=False,
        tokens=changed.get("tokens", ()),
    )
    size = changed.get("size", path.stat().st_size)
    targets = targets_for(changed.get("path", path), masks=tmp_path / "m.mp4")
    task = VideoTask(number=0, name="in.mp4", row_name="in.mp4", targets=targets, url=None, size=size, settings="")
    choice = PredictorChoice(path=Path("/not/here/model.safetensors"), device="cpu", precision="fp32")
    return do_task(version, pickle.dumps((order, choice)), pickle.dumps(task), np.fromfile(model, np.uint8))


def content(answer: Answer) -> Any:
    return pickle.loads(answer.content)


def test_a_worker_needs_no_model_file_of_its_own(tmp_path: Path, random_model: Path) -> None:
    answer = work(tmp_path, random_model)
    done = content(answer)
    assert answer.kind == "done" and isinstance(done, Done) and done.outcome.frames == 5 and not done.before
    assert len(decode(tmp_path / "m.mp4")[0]) == 5


@pytest.mark.parametrize(
    ("changed", "kind", "error", "words"),
    [
        ({"version": "0.0.1"}, "fatal", DeviceError, r"^the node .* has endoseg .*, the job has 0\.0\.1$"),
        (
            {"tokens": (Path("/not/here/.token"),)},
            "fatal",
            NotSharedError,
            r"^the node .* does not see the folder /not/h",
        ),
        ({"size": 3}, "failed", InputError, r"^in\.mp4 has \d+ bytes, 3 when the job began$"),
    ],
)
def test_what_a_worker_refuses(
    tmp_path: Path, random_model: Path, changed: dict[str, Any], kind: str, error: type[EndosegError], words: str
) -> None:
    answer = work(tmp_path, random_model, **changed)
    found = content(answer)
    assert answer.kind == kind and type(found) is error
    assert re.match(words, found.message)
    assert not (tmp_path / "m.mp4").exists()


def test_a_video_that_the_worker_does_not_see_stops_the_job(tmp_path: Path, random_model: Path) -> None:
    answer = work(tmp_path, random_model, path=tmp_path / "absent.mp4")
    assert answer.kind == "fatal" and "does not see the file in.mp4" in content(answer).message


def test_a_model_that_cannot_be_loaded_stops_the_job(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"no model" * 10)
    answer = work(tmp_path, tmp_path / "model")
    assert answer.kind == "fatal" and isinstance(content(answer), WeightsError)
    assert content(answer).message.startswith("the node ")
