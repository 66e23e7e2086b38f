"""Inputs that would exhaust the memory, read other files or write elsewhere: refused in one line, before anything."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from endoseg_cli.data.labels.mask_reader import locate_picture
from endoseg_cli.errors import InputError, UsageError, WeightsError
from endoseg_cli.hub.manifest import Entry
from endoseg_cli.hub.remote import may_see_token
from endoseg_cli.inference.flow.stages import MOST_WAITING_BYTES, Stages
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.pictures.images import read_image
from endoseg_cli.training.engine.memory import check_shared_memory
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.settings.config_file import read_config
from endoseg_cli.video.reading.reader import probe
from tests.conftest import Run
from tests.networks.tiny import tiny_bundle
from tests.video.rendering import Clip

Render = Callable[[Clip], Path]


@pytest.mark.parametrize(
    "settings",
    [
        {"repo_id": "../..", "filename": "passwd"},
        {"repo_id": "a/..", "filename": "x.bin"},
        {"repo_id": "a/b", "filename": "../x.bin"},
        {"repo_id": "a/b", "filename": "/etc/passwd"},
        {"repo_id": "a/b", "filename": "C:\\x.bin"},
        {"repo_id": "a/b", "filename": "x.bin", "revision": "../main"},
        {"repo_id": "a/b", "filename": ""},
    ],
)
def test_weights_come_from_inside_a_repository(settings: dict[str, str]) -> None:
    with pytest.raises(WeightsError):
        Entry(name="x", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("endpoint", "mirror", "may"),
    [
        (None, None, True),
        (None, "https://huggingface.co", True),
        (None, "https://mirror.clinic", True),
        (None, "http://mirror.clinic", False),
        ("https://mirror.example", "https://mirror.example", False),
        ("https://huggingface.co", "https://huggingface.co", True),
        ("http://huggingface.co", "http://huggingface.co", False),
        ("https://huggingface.co.evil.example", "https://huggingface.co.evil.example", False),
        (None, "http://localhost:8000", True),
    ],
)
def test_a_token_is_for_the_hub_and_ones_own_mirror(endpoint: str | None, mirror: str | None, may: bool) -> None:
    assert may_see_token(endpoint, mirror) == may


def test_a_playlist_that_calls_itself_a_video_reads_no_neighbour(render: Render, tmp_path: Path) -> None:
    render(Clip(name="secret.mp4"))
    for name, text in (
        ("script.mp4", "ffconcat version 1.0\nfile secret.mp4\n"),
        ("list.mp4", "#EXTM3U\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n"),
        ("describe.mp4", "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            probe(tmp_path / name)


def test_pictures_of_annotations_lie_in_their_folders(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"x")
    for name in ("../../outside.png", str(outside), "../outside.png"):
        found = locate_picture(name, tmp_path / "set" / "labels" / "a.json")
        assert found is None or found.resolve().is_relative_to(tmp_path / "set")
    assert locate_picture("a\0b.png", tmp_path / "a.json") is None
    assert locate_picture("x" * 5000, tmp_path / "a.json") is None


def test_a_picture_beyond_all_measure_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((12000, 12000), np.uint8))
    with pytest.raises(InputError, match=r"at most 134 million pixels.*a\.png"):
        read_image(tmp_path / "a.png")


def test_a_yaml_file_that_multiplies_is_refused(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(24)
    )
    (tmp_path / "c.yaml").write_text(bomb)
    with pytest.raises(UsageError, match=r"c\.yaml.*aliases"):
        read_config(tmp_path / "c.yaml")
    (tmp_path / "d.yaml").write_text("training: {seed: " + "[" * 5000 + "}")
    with pytest.raises(UsageError, match=r"d\.yaml"):
        read_config(tmp_path / "d.yaml")


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": float("inf")},
        {"seed": 1 << 63},
        {"seed": -1},
        {"max_time": float("inf")},
        {"weight_decay": 1e999},
    ],
)
def test_numbers_beyond_all_measure_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        TrainConfig(**settings)  # type: ignore[arg-type]


def test_a_batch_beyond_all_measure_is_refused() -> None:
    with pytest.raises(UsageError, match="--batch-size must be 1 to 4096"):
        Predictor(tiny_bundle(), device="cpu", batch_size=10**9)


def test_few_frames_wait_where_each_is_large() -> None:
    def room(item_bytes: int) -> int:
        stages = Stages[int, int]((), lambda batch: batch, lambda _: None, batch_size=4, item_bytes=item_bytes)
        return stages._items.maxsize

    assert room(0) == room(1000) == 8 and room(MOST_WAITING_BYTES // 3) == 3 and room(10 * MOST_WAITING_BYTES) == 1


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="shared memory of Linux")
def test_workers_need_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Facts:
        f_bavail, f_frsize = 64, 1 << 20

    monkeypatch.setattr(os, "statvfs", lambda _: Facts)
    config = TrainConfig(workers=4, batch_size=24)
    with pytest.raises(UsageError, match=r"--workers 4 needs \d+ MB of shared memory, found 64 MB"):
        check_shared_memory(config, uses_unlabeled=True)
    check_shared_memory(TrainConfig(workers=1, batch_size=1), uses_unlabeled=True)
    check_shared_memory(TrainConfig(workers=0, batch_size=999), uses_unlabeled=True)


def test_an_empty_option_is_not_the_working_directory(endoseg: Callable[..., Run], render: Render) -> None:
    clip = render(Clip(name="a.mp4", frames=2))
    for option in ("--out", "--masks-dir", "--records"):
        run = endoseg("segment", clip, option, "")
        assert run.code == 2 and f"{option} is empty" in run.stderr
    assert endoseg("segment", clip, "--out=").code == 2


def test_a_named_pipe_is_not_waited_for(endoseg: Callable[..., Run], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert stat.S_ISFIFO((tmp_path / "pipe.mp4").stat().st_mode)
    run = endoseg("segment", tmp_path / "pipe.mp4", "--out", tmp_path / "m.mp4")
    assert run.code == 3 and "/dev/stdin" in run.stderr


def test_a_named_pipe_in_a_folder_is_left_out(
    endoseg: Callable[..., Run], render: Callable[[Clip], Path], lesion_nowhere: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    render(Clip(name="a.mp4", frames=2)).rename(tmp_path / "in" / "a.mp4")
    os.mkfifo(tmp_path / "in" / "z.mp4")
    run = endoseg("segment", tmp_path / "in", "--out", tmp_path / "m", "--weights", lesion_nowhere)
    assert run.code == 0, run.stderr
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["a.mp4"]
