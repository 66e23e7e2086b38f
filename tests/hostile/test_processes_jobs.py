"""`endoseg segment --jobs` and torchrun as real processes: the outputs of one process, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from endoseg_cli.cli.app import main
from endoseg_cli.part_file import part_path
from endoseg_cli.pictures.images import write_png
from tests.hostile.processes import (
    MOST_SECONDS_TO_END,
    digests,
    environment,
    finish,
    start,
    take_ctrl_c,
    wait_until,
)
from tests.inference.brightness import decode, disc_picture
from tests.video.rendering import Clip, render_clip

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]
FRAMES = 80
"""Of the longest clip, which is still running when the others are done."""
SIZE = (48, 64)
Options = tuple[object, ...]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips, pictures in two runs, one of which cannot be read, and a video that is none."""
    folder = tmp_path_factory.mktemp("in")
    (folder / "sub").mkdir()
    render_clip(folder, Clip(name="a.mp4", frames=30, picture=disc_picture, size=SIZE))
    (folder / "b.mp4").write_text("not a video")
    for number in range(5):
        write_png(folder / f"c{number}.png", disc_picture(number, SIZE))
    (folder / "c2.png").write_text("not a picture")
    render_clip(folder, Clip(name="d.mkv", frames=9, picture=disc_picture, size=SIZE))
    render_clip(folder, Clip(name="sub/long.mp4", frames=FRAMES, picture=disc_picture, size=SIZE))
    write_png(folder / "sub" / "z.png", disc_picture(1, SIZE))
    return folder


def options(folder: Path, model: Path) -> Options:
    more = ("--masks-dir", folder / "p", "--annotations", folder / "a.json")
    return (*few(folder, model), *more, "--overlay", folder / "o", "--report", folder / "r", "--json")


def few(folder: Path, model: Path) -> Options:
    computed = ("--weights", model, "--device", "cpu", "--precision", "fp32", "--batch-size", "2")
    return ("--out", folder / "m", "--records", folder / "t.csv", *computed)


@pytest.fixture(scope="module")
def by_one(inputs: Path, random_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of one process, this one."""
    folder = tmp_path_factory.mktemp("one")
    before, terminate = torch.get_num_threads(), signal.getsignal(signal.SIGTERM)
    torch.set_num_threads(1)
    try:
        with pytest.raises(SystemExit) as exit_:
            main(["segment", str(inputs), *map(str, options(folder, random_model))])
    finally:
        torch.set_num_threads(before)
        signal.signal(signal.SIGTERM, terminate)
    assert exit_.value.code == 7
    return folder


def told(stdout: str) -> tuple[list[Any], list[Any]]:
    """Return what --json says of inputs and failures, without times and places."""
    found = json.loads(stdout)
    timed = {"seconds", "frames_per_second", "stage_frames_per_second", "outputs"}
    return [{key: value for key, value in one.items() if key not in timed} for one in found["results"]], found[
        "failures"
    ]


def children(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes that segment for a process."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                command = (place / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == process.pid and b"spawn_main" in command:
                found.append(int(place.name))
    return found


def is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def owner(file: Path, numbers: Sequence[int]) -> int:
    """Return which of some processes has a file open."""
    for number in numbers:
        for handle in Path(f"/proc/{number}/fd").iterdir():
            if handle.exists() and handle.resolve() == file.resolve():
                return number
    raise AssertionError(f"nobody has {file} open")


@pytest.fixture
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where processes keep their temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_two_processes_give_the_bytes_of_one(
    inputs: Path, by_one: Path, random_model: Path, tmp_path: Path, spools: Path
) -> None:
    process = start("segment", inputs, *options(tmp_path / "out", random_model), "--jobs", "2")
    stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 7, stderr
    check_same(tmp_path / "out", by_one)
    results, failures = told(stdout)
    assert [Path(one["input"]).name for one in results] == [
        "a.mp4",
        *(f"c{number}.png" for number in (0, 1, 3, 4)),
        "d.mkv",
        "long.mp4",
        "z.png",
    ]
    assert [Path(one["input"]).name for one in failures] == ["b.mp4", "c2.png"]
    assert stderr.count("error:") == 2 and "Traceback" not in stderr
    assert not list(spools.iterdir())


def test_a_process_that_is_killed_costs_its_video_alone(
    inputs: Path, by_one: Path, random_model: Path, tmp_path: Path, spools: Path
) -> None:
    process = start("segment", inputs, *few(tmp_path, random_model), "--jobs", "2")
    part = part_path(tmp_path / "m" / "sub" / "long.mp4")
    wait_until(part.exists, process)
    os.kill(owner(part, children(process)), signal.SIGKILL)
    stderr = finish(process)
    assert process.returncode == 7, stderr
    assert f"{inputs / 'sub' / 'long.mp4'} was killed (SIGKILL)" in stderr and "fewer --jobs" in stderr
    whole = {name: digest for name, digest in digests(by_one / "m").items() if name != "sub/long.mp4"}
    assert digests(tmp_path / "m") == whole
    rows = [row for row in (by_one / "t.csv").read_text().splitlines() if "long.mp4" not in row]
    assert (tmp_path / "t.csv").read_text().splitlines() == rows
    assert not list(tmp_path.rglob("*.part")) and not list(spools.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_job_that_is_stopped_leaves_no_process_and_no_part(
    number: signal.Signals, inputs: Path, random_model: Path, tmp_path: Path, spools: Path
) -> None:
    process = start("segment", inputs, *few(tmp_path, random_model), "--jobs", "2")
    wait_until(part_path(tmp_path / "m" / "sub" / "long.mp4").exists, process)
    workers = children(process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    stderr = finish(process, MOST_SECONDS_TO_END)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number], stderr
    wait_while(lambda: any(is_alive(worker) for worker in workers))
    assert not any(is_alive(worker) for worker in workers)
    assert not (tmp_path / "m" / "sub" / "long.mp4").exists() and not (tmp_path / "t.csv").exists()
    assert not list(spools.iterdir())
    if number != signal.SIGKILL:
        assert not list(tmp_path.rglob("*.part"))


def test_the_processes_of_torchrun_give_the_bytes_of_one(
    inputs: Path, by_one: Path, random_model: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m"]
    command += ["endoseg_cli", "segment", str(inputs), *map(str, options(tmp_path / "out", random_model))]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
        preexec_fn=take_ctrl_c,
    )
    stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 1 and "exitcode  : 7" in stderr, stderr
    check_same(tmp_path / "out", by_one)
    results, failures = told(stdout)
    assert len(results) == 8 and [Path(one["input"]).name for one in failures] == ["b.mp4", "c2.png"]
    assert stderr.count("error: ") == 2


def check_same(found: Path, wanted: Path) -> None:
    """Compare all files by their bytes; overlay videos, and pages that hold them, by what they show.

    The look-ahead (mbtree) of x264 reads memory that it has not written, so that the same pictures are not encoded the
    same way twice, even by one process.
    """
    ours, theirs = digests(found), digests(wanted)
    videos = [name for name in theirs if name.startswith("o/") and not name.endswith(".png")]
    pages = [name for name in theirs if name.endswith(".html")]
    assert len(videos) == 3 and len(pages) == 3
    shown = {*videos, *pages}
    assert ours.keys() == theirs.keys()
    assert [name for name in theirs if name not in shown and ours[name] != theirs[name]] == []
    for name in videos:
        (pictures, times), (same, same_times) = decode(found / name), decode(wanted / name)
        assert times == same_times and len(pictures) == len(same)
        for one, other in zip(pictures, same, strict=True):
            assert np.abs(one.astype(np.int64) - other).mean() < 2


def wait_while(is_so: Callable[[], bool]) -> None:
    """Wait as long as something is so, at most as long as a process may take to end."""
    end = time.monotonic() + MOST_SECONDS_TO_END
    while is_so() and time.monotonic() < end:
        time.sleep(0.05)
