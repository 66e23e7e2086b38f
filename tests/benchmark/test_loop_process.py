"""The plain loop runs in a process of its own, with the environment that endoseg found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from endoseg_cli.benchmark.loop_process import LoopJob, LoopProcess, loop_process
from endoseg_cli.errors import DeviceError, MissingInputError
from endoseg_cli.networks.files.bundle import save_bundle
from tests.inference.brightness import decode
from tests.networks.tiny import calibrated_bundle
from tests.video.rendering import Clip, render_clip


@pytest.fixture
def job(tmp_path: Path) -> LoopJob:
    save_bundle(calibrated_bundle(), tmp_path / "model.safetensors")
    clip = render_clip(tmp_path, Clip(name="in.mp4", frames=6))
    return LoopJob(
        model=str(tmp_path / "model.safetensors"),
        network="both",
        video=str(clip),
        out=str(tmp_path),
        device="cpu",
        threads=1,
        threshold=0.5,
    )


@pytest.fixture
def loop(job: LoopJob, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopProcess]:
    monkeypatch.setattr("endoseg_cli.process._added", {"OMP_WAIT_POLICY"})
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    with loop_process(job) as process:
        yield process


def test_it_does_as_many_frames_as_asked_or_as_there_are(loop: LoopProcess, tmp_path: Path) -> None:
    done, peak = loop.run(4)
    assert done == len(decode(tmp_path / "overlay.mp4")[0]) == 4
    assert peak.resident is not None and peak.resident > 50e6
    assert loop.run(9)[0] == 6


def test_it_has_the_environment_as_it_was_and_ends_with_the_block(job: LoopJob, loop: LoopProcess) -> None:
    number = loop._process.pid
    words = Path(f"/proc/{number}/environ")
    if words.is_file():
        assert b"OMP_WAIT_POLICY" not in words.read_bytes()
    with loop_process(job) as other:
        pass
    assert other._process.poll() is not None and loop._process.poll() is None
    assert "OMP_WAIT_POLICY" in os.environ


def test_a_process_that_ended_is_told(loop: LoopProcess) -> None:
    loop._process.kill()
    loop._process.wait()
    with pytest.raises(DeviceError, match="the process of the plain loop ended with -9"):
        loop.run(2)


def test_what_fails_in_it_is_told(job: LoopJob) -> None:
    with (
        pytest.raises(MissingInputError, match=r"the plain loop failed: .*nowhere\.safetensors") as raised,
        loop_process(replace(job, model="nowhere.safetensors")),
    ):
        pass
    assert raised.value.hint


def test_modules_of_the_folder_one_is_in_are_not_its_own(
    job: LoopJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "csv.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    with loop_process(job) as process:
        assert process.run(2)[0] == 2
        assert os.getsid(process._process.pid) != os.getsid(0), "Ctrl-C in the terminal is not for it"
