"""Training and fetching as real processes that are stopped: they end soon, and go on to the undisturbed result."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from endoseg_cli.errors import TrainingError
from endoseg_cli.networks.files.bundle import load_bundle
from endoseg_cli.training.runs.log import read_metrics
from tests.hostile.budget import EXAMPLES_VARIABLE
from tests.hostile.processes import MOST_SECONDS_TO_END, complete, finish, start, wait_until
from tests.hub.samples import BODY, SHA256
from tests.hub.server import Served, running_server
from tests.training.small import save_frames

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]
MOMENTS = random.Random(16)
TRAIN = (
    *("--encoder", "mobilenet_v2", "--decoder-channels", "8,8,8,8,8", "--encoder-weights", "none", "--size", "32"),
    *("--batch-size", "2", "--num-passes", "2", "--warm-up-steps", "1", "--ramp-steps", "2", "--no-corrective"),
    *("--device", "cpu", "--max-steps", "8", "--validate-every", "4", "--checkpoint-every", "1"),
)
CORRECTIVE = ("--clips", "3", "--batch-size", "2", "--max-steps", "6", "--validate-every", "2", "--device", "cpu")


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("frames")
    for name, count, seed in (("l", 3, 0), ("v", 2, 50), ("u", 5, 100)):
        save_frames(root / name, count, seed)
    return root


def same_networks(one: Path, other: Path) -> bool:
    """Whether two model files hold the same numbers, also of the corrective network."""
    first, second = load_bundle(one), load_bundle(other)
    pairs = list(zip(first.networks, second.networks, strict=True))
    states = [(a.state_dict(), b.state_dict()) for a, b in pairs]
    if first.corrective is not None and second.corrective is not None:
        states.append((first.corrective.state_dict(), second.corrective.state_dict()))
    return (first.corrective is None) == (second.corrective is None) and all(
        bool((a[name] == b[name]).all()) for a, b in states for name in a
    )


def stop_after(what: Callable[[], bool], process: subprocess.Popen[str], number: int) -> str:
    wait_until(what, process)
    time.sleep(MOMENTS.uniform(0, 0.3))
    process.send_signal(number)
    try:
        process.wait(MOST_SECONDS_TO_END / 2)
    except subprocess.TimeoutExpired:
        process.send_signal(number)  # a library may swallow the first Ctrl-C; people press it again
    return finish(process, MOST_SECONDS_TO_END)


def test_stopped_training_goes_on_to_the_same_model(frames: Path, tmp_path: Path) -> None:
    data = ("--labeled", frames / "l", "--val", frames / "v", "--unlabeled", frames / "u" / "images")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    complete("train", *data, *TRAIN, "--out", whole)
    process = start("train", *data, *TRAIN, "--out", stopped)
    stderr = stop_after((stopped / "last.pt").is_file, process, signal.SIGINT)
    assert process.returncode in (130, 0), stderr
    process = start("train", "--resume", stopped)
    time.sleep(MOMENTS.uniform(2, 5))
    process.send_signal(signal.SIGTERM)
    stderr = finish(process, MOST_SECONDS_TO_END)
    assert process.returncode in (143, -signal.SIGTERM, 0), stderr
    complete("train", "--resume", stopped)
    assert same_networks(whole / "model.safetensors", stopped / "model.safetensors")


@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
def test_a_killed_reader_of_frames_is_named_and_costs_no_step(frames: Path, tmp_path: Path) -> None:
    data = ("--labeled", frames / "l", "--val", frames / "v", "--unlabeled", frames / "u" / "images")
    out = tmp_path / "run"
    process = start("train", *data, *TRAIN, "--workers", "2", "--max-steps", "12", "--out", out)
    wait_until((out / "last.pt").is_file, process)
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
    stderr = finish(process, MOST_SECONDS_TO_END)
    assert process.returncode == TrainingError.exit_code and "a process that reads frames was killed" in stderr, stderr
    assert "--workers" in stderr and not list(out.glob("*.endoseg.part")), stderr
    complete("train", "--resume", out)
    assert [row["step"] for row in read_metrics(out / "metrics.csv")] == ["4", "8", "12"]


@pytest.mark.skipif(EXAMPLES_VARIABLE not in os.environ, reason="takes a minute: in the long run by hand alone")
def test_a_killed_corrective_training_goes_on_to_the_same_model(
    frames: Path, random_model: Path, tmp_path: Path
) -> None:
    data = ("--weights", random_model, "--labeled", frames / "l")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    complete("train-corrective", *data, *CORRECTIVE, "--out", whole)
    process = start("train-corrective", *data, *CORRECTIVE, "--out", killed)
    stop_after((killed / "last.pt").is_file, process, signal.SIGKILL)
    complete("train-corrective", "--resume", killed)
    assert same_networks(whole / "model.safetensors", killed / "model.safetensors")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_a_stopped_download_has_no_half_file_and_is_fetched_again(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    place = tmp_path / "stick"
    with running_server() as server:
        server.serve(Served(body=BODY, stalled_gets=1), at="main")
        words = ("download-weights", "--repo", "org/name", "--file", "model.safetensors", "--endpoint", server.url)
        process = start(*words, "--dest", place)
        stderr = stop_after(lambda: "GET" in server.methods(), process, number)
        assert process.returncode in (130, -signal.SIGKILL), stderr
        server.released.set()
        assert not [path for path in tmp_path.rglob("model.safetensors") if path.read_bytes() != BODY]
        complete(*words, "--dest", place)
    [path] = place.rglob("*.safetensors")
    assert path.read_bytes() == BODY and len(SHA256) == 64
