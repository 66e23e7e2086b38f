"""`benchmark inference` and `io`: what they print, of small videos and small networks. No time is asserted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from endoseg_cli.benchmark.inference import precisions
from endoseg_cli.benchmark.stages import STAGES
from tests.cli.test_app import LAUNCH
from tests.conftest import Run
from tests.networks.tiny import save_to, tiny_bundle, with_corrective
from tests.video.rendering import Clip

Endoseg = Callable[..., Run]
Render = Callable[[Clip], Path]
SHORT = ("--seconds", "0.01", "--repeats", "2", "--device", "cpu")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def corrective_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of two random networks and a corrective one."""
    return save_to(tmp_path_factory.mktemp("corrective"), with_corrective(tiny_bundle()))


def check_timing(timing: dict[str, Any], repeats: int = 2) -> None:
    """Fail for numbers that contradict each other."""
    assert len(timing["seconds"]) == repeats and min(timing["seconds"]) > 0 and timing["frames"] > 0
    assert min(timing["seconds"]) <= timing["frames"] * timing["milliseconds_a_frame"] / 1000 <= max(timing["seconds"])
    assert timing["frames_per_second"] == pytest.approx(1000 / timing["milliseconds_a_frame"])
    assert timing["spread"] >= 0
    if "real_time" in timing:
        assert timing["real_time"] == {str(rate): timing["frames_per_second"] >= rate for rate in (25, 30, 60)}


def test_stages_whole_runs_and_runtimes_of_a_rendered_video(
    endoseg: Endoseg, corrective_model: Path, temporary: Path
) -> None:
    run = endoseg(
        *("benchmark", "inference", "--sizes", "64x48", "--weights", corrective_model, "--batch-size", 3),
        *("--runtime", "torch", "--precision", "fp32", "--threads", 1, *SHORT, "--json", "--quiet"),
    )
    assert (run.code, run.stderr) == (0, "")
    report = json.loads(run.stdout)
    assert (report["schema"], report["schema_version"], report["benchmark"]) == ("endoseg.benchmark", 1, "inference")
    assert report["machine"]["threads"] == 1 and report["machine"]["packages"]["torch"] == torch.__version__
    assert {"processor", "cores", "memory_bytes", "load_before", "device"} <= set(report["machine"])
    settings = report["settings"]
    assert (settings["model"], settings["batch_size"], settings["repeats"]) == ("tiny", 3, 2)
    [video] = report["videos"]
    assert (video["name"], video["width"], video["height"], video["codec"]) == ("64x48", 64, 48, "h264")
    assert video["field_of_view"] is None and video["finding_view_seconds"] > 0
    assert list(video["stages"]) == list(STAGES)
    for stage in video["stages"].values():
        check_timing(stage)
    assert video["stages"]["networks"]["frames"] % 3 == 0, "full batches"
    slowest = max(video["stages"], key=lambda name: video["stages"][name]["milliseconds_a_frame"])
    assert video["limiting_stage"] == slowest
    assert list(video["segment"]) == ["off", "flagged", "all"]
    loop = video["plain_loop"]
    for whole in (*video["segment"].values(), loop):
        check_timing(whole)
        assert whole["frames"] == loop["frames"] >= 8, "all runs are over the same frames"
        assert whole["peak_memory"]["resident_bytes"] > 50e6 and whole["peak_memory"]["device_bytes"] is None
    for whole in video["segment"].values():
        rounds = [theirs / own for own, theirs in zip(whole["seconds"], loop["seconds"], strict=True)]
        assert whole["ratio_to_plain_loop"]["rounds"] == pytest.approx(rounds)
        assert whole["ratio_to_plain_loop"]["median"] == pytest.approx(sum(rounds) / 2)
        assert (
            set(whole["busy_share"]) == {"read", "predict", "refine", "write"}
            and max(whole["busy_share"].values()) <= 1
        )
    assert [whole["refined_frames"] for whole in video["segment"].values()][::2] == [0, loop["frames"]]
    [network] = report["networks"]
    check_timing(network)
    assert (network["runtime"], network["precision"], network["used_by_segment"]) == ("torch", "fp32", True)
    assert list(temporary.iterdir()) == []


def test_your_own_video_is_measured_as_far_as_it_goes_in_every_runtime(
    endoseg: Endoseg, random_model: Path, render: Render, temporary: Path
) -> None:
    clip = render(Clip(name="mine.mp4", frames=5, rotation=90, audio="aac"))
    options = ("--input", clip, "--weights", random_model, "--network", 1, "--field-of-view", "4,8,32,40")
    before = torch.get_num_threads()
    run = endoseg("benchmark", "inference", *options, "--threads", 1, *SHORT, "--json")
    assert run.code == 0, run.stderr
    report = json.loads(run.stdout)
    [video] = report["videos"]
    assert (video["name"], video["width"], video["height"]) == ("mine.mp4", 48, 64)
    assert video["field_of_view"] == {"x": 4, "y": 8, "width": 32, "height": 40}
    assert list(video["segment"]) == ["off"], "the model has no corrective network"
    assert video["segment"]["off"]["frames"] == video["plain_loop"]["frames"] == 5
    assert video["stages"]["decode"]["frames"] == 5
    ways = [(row["runtime"], row["precision"]) for row in report["networks"]]
    assert {("torch", "fp32"), ("onnx", "fp32")} <= set(ways) and len(set(ways)) == len(ways)
    assert [row["used_by_segment"] for row in report["networks"]] == [True] + [False] * (len(ways) - 1)
    assert torch.get_num_threads() == before and clip.is_file() and list(temporary.iterdir()) == []


def test_a_table_says_the_same_in_words(endoseg: Endoseg, random_model: Path, render: Render) -> None:
    options = ("--input", render(Clip(name="in.mp4")), "--weights", random_model)
    run = endoseg("benchmark", "inference", *options, "--runtime", "torch", "--precision", "fp32", *SHORT)
    assert run.code == 0, run.stderr
    told = " ".join(run.stdout.split())
    assert run.stderr.startswith("in.mp4: refine off, warm-up\nin.mp4: plain loop, warm-up\n")
    assert all(f"  {name}" in run.stdout for name in STAGES) and run.stdout.count("(slowest)") == 1
    assert "segment --refine off" in run.stdout and "plain loop" in run.stdout and "GB" in run.stdout
    assert re.search(r"Busiest thread of --refine off: (read|predict|write), \d+ % of the time", told)
    assert "torch fp32 (what segment uses)" in run.stdout and "processor: " in run.stdout


def test_reading_and_writing_alone(endoseg: Endoseg, temporary: Path) -> None:
    options = ("--sizes", "64x48,48x64", "--seconds", "0.01", "--repeats", "2")
    run = endoseg("benchmark", "io", *options, "--json")
    assert run.code == 0, run.stderr
    report = json.loads(run.stdout)
    assert (report["schema"], report["schema_version"], report["benchmark"]) == ("endoseg.benchmark", 1, "io")
    assert [(video["width"], video["height"]) for video in report["videos"]] == [(64, 48), (48, 64)]
    for video in report["videos"]:
        assert list(video["read"]) == ["decode", "read"]
        assert list(video["write"]) == ["mask.mp4", "mask.mkv", "overlay.mp4", "mask.png", "probability.png"]
        for part in (*video["read"].values(), *video["write"].values()):
            check_timing(part)
        sizes = {name: part["bytes_a_frame"] for name, part in video["write"].items()}
        assert all(10 < size < 64 * 48 * 4 for size in sizes.values())
        assert sizes["mask.png"] < sizes["probability.png"], "a soft rim of 16 bits takes more"
    assert list(temporary.iterdir()) == []


def test_a_table_of_reading_and_writing(endoseg: Endoseg, render: Render) -> None:
    run = endoseg("benchmark", "io", "--input", render(Clip(name="in.mp4")), "--seconds", "0.01", "--repeats", "1")
    assert run.code == 0, run.stderr
    assert "write overlay.mp4" in run.stdout and "kB" in run.stdout


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("inference", "--sizes", "huge"), 2, "--sizes must be 480p, 720p, 1080p or WIDTHxHEIGHT, found 'huge'"),
        (("inference", "--input", "x.mp4", "--sizes", "720p"), 2, "--sizes are those of rendered videos"),
        (("inference", "--seconds", "0"), 2, "--seconds must be above 0"),
        (("inference", "--repeats", "0"), 2, "--repeats must be 1 to 1000, found 0"),
        (("inference", "--threads", "0", "--sizes", "64x48"), 2, "--threads must be 1 to 1024, found 0"),
        (("inference", "--input", "nowhere.mp4"), 3, "no such video: nowhere.mp4"),
        (("inference", "--weights", "nowhere"), 5, "no model file or bundled model called 'nowhere'"),
        (("inference", "--field-of-view", "9,9,99,99", "--sizes", "64x48"), 2, "--field-of-view 9,9,99,99 leaves the"),
        (("inference", "--device", "tpu", "--sizes", "64x48"), 2, "--device tpu is not known"),
        (("io", "--input", "."), 3, "expected a video file, which is read again and again, found a folder"),
        (("io", "--sizes", "64x48", "--seconds", "nan"), 2, "--seconds must be above 0"),
    ],
)
def test_wrong_use_is_one_line(
    endoseg: Endoseg, temporary: Path, options: tuple[str, ...], code: int, says: str
) -> None:
    run = endoseg("benchmark", *options, "--quiet")
    assert run.code == code and run.stdout == "" and run.stderr.startswith(f"error: {says}"), run.stderr
    assert run.stderr.count("\n") <= 2 and list(temporary.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(endoseg: Endoseg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    run = endoseg("benchmark", "io", "--quiet")
    assert run.code == 4 and "no folder for temporary files could be made" in run.stderr and "TMPDIR" in run.stderr


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, random_model: Path) -> None:
    options = ("--sizes", "64x48", "--weights", str(random_model), "--seconds", "60", "--device", "cpu")
    command = [sys.executable, "-c", LAUNCH, "benchmark", "inference", *options]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment) as process:
        while not list(tmp_path.glob("endoseg-benchmark-*/outputs/*.part")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and stdout == "" and "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []


def test_precisions_are_those_without_emulation(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_bf16, expected in ((True, ("fp32", "bf16")), (False, ("fp32",))):
        monkeypatch.setattr("endoseg_cli.benchmark.inference.computes_bf16", lambda: has_bf16)  # noqa: B023
        assert precisions("torch", torch.device("cpu")) == precisions("openvino", torch.device("cpu")) == expected
    assert precisions("onnx", torch.device("cpu")) == precisions("torch", torch.device("mps")) == ("fp32",)
