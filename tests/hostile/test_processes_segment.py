"""`endoseg segment` as a real process that is stopped, starved or robbed: nothing half, and a rerun is the same."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from endoseg_cli.video.reading.reader import VideoReader
from tests.hostile.processes import MOST_SECONDS, MOST_SECONDS_TO_END, complete, digests, finish, start, wait_until
from tests.video.rendering import Clip, render_clip

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]
FRAMES = 100
MOMENTS = random.Random(16)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_clip(tmp_path_factory.mktemp("clip"), Clip(name="in.mp4", frames=FRAMES, options={"g": "10"}))


def command(clip: Path, folder: Path, model: Path) -> tuple[object, ...]:
    outputs = ("--out", folder / "m.mp4", "--records", folder / "t.csv", "--masks-dir", folder / "masks")
    return ("segment", clip, *outputs, "--weights", model, "--device", "cpu", "--batch-size", "2", "--overwrite")


@pytest.fixture(scope="module")
def undisturbed(clip: Path, random_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    complete(*command(clip, folder, random_model))
    return digests(folder)


def stop(process: subprocess.Popen[str], folder: Path, number: int) -> str:
    """Send a signal at a random moment after the first frame was begun; it must end soon."""
    wait_until(lambda: (folder / "m.mp4.endoseg.part").exists(), process)
    time.sleep(MOMENTS.uniform(0, 0.4))
    process.send_signal(number)
    return finish(process, MOST_SECONDS_TO_END)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_stopped_run_leaves_nothing_half_and_runs_again_to_the_same_bytes(
    number: signal.Signals, clip: Path, random_model: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    wanted = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    process = start(*command(clip, tmp_path, random_model))
    stderr = stop(process, tmp_path, number)
    assert process.returncode in (wanted, 0), stderr
    if process.returncode:
        assert not (tmp_path / "m.mp4").exists() and not (tmp_path / "t.csv").exists()
        for mask in (tmp_path / "masks").glob("*.png"):
            assert digests(mask.parent)[mask.name] == undisturbed[f"masks/{mask.name}"]
    complete(*command(clip, tmp_path, random_model))
    assert digests(tmp_path, without=(".endoseg.tmp",)).items() >= undisturbed.items()
    assert not list(tmp_path.glob("*.endoseg.part"))


def test_two_runs_into_one_place_do_not_mix(
    clip: Path, random_model: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    runs = [start(*command(clip, tmp_path, random_model)) for _ in range(2)]
    told = [finish(run) for run in runs]
    codes = sorted(run.returncode for run in runs)
    assert codes in ([0, 0], [0, 4]), told
    assert codes == [0, 0] or any("another process is writing" in text for text in told)
    assert digests(tmp_path) == undisturbed


def test_a_folder_that_is_removed_is_missed_soon(clip: Path, random_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    process = start(*command(clip, folder, random_model))
    wait_until(lambda: (folder / "m.mp4.endoseg.part").exists(), process)
    shutil.rmtree(folder, ignore_errors=True)
    stderr = finish(process)
    assert process.returncode == 4 and str(folder) in stderr, stderr


def test_a_stdout_that_is_closed_costs_no_result(
    clip: Path, random_model: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    process = start(*command(clip, tmp_path, random_model), stdout=write)
    os.close(write)
    stderr = finish(process)
    assert digests(tmp_path) == undisturbed, stderr


def test_a_stderr_that_is_closed_stops_no_job_of_many_inputs(clip: Path, random_model: Path, tmp_path: Path) -> None:
    videos = [clip, *(clip.with_name(f"{name}.mp4") for name in "ab")]
    for copy in videos[1:]:
        shutil.copy(clip, copy)
    table = tmp_path / "t.csv"
    outputs = ("--out", tmp_path, "--records", table, "--weights", random_model, "--device", "cpu", "--verbose")
    with start("segment", *videos, *outputs) as process:
        assert process.stderr is not None
        process.stderr.readline()  # as `2>&1 | head -1` does
        process.stderr.close()
        process.wait(MOST_SECONDS)
    assert process.returncode == 0 and len(table.read_text().splitlines()) == 1 + 3 * FRAMES


def test_an_input_that_grows_is_read_as_far_as_it_goes(random_model: Path, tmp_path: Path) -> None:
    whole = render_clip(tmp_path, Clip(name="whole.ts", frames=FRAMES)).read_bytes()
    growing = tmp_path / "in.ts"
    growing.write_bytes(whole[: len(whole) // 2])
    process = start(*command(growing, tmp_path / "out", random_model))
    with growing.open("ab") as file:
        for part in range(len(whole) // 2, len(whole), 4096):
            file.write(whole[part : part + 4096])
            file.flush()
            time.sleep(0.01)
    stderr = finish(process)
    assert process.returncode in (0, 7), stderr
    assert 0 < len(list((tmp_path / "out" / "masks").glob("*.png"))) <= FRAMES


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk takes root on Linux")
def test_a_full_disk_ends_the_run_and_a_larger_one_completes_it(
    clip: Path, random_model: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount")
    try:
        process = start(*command(clip, disk, random_model))
        stderr = finish(process)
        assert process.returncode == 4 and "No space left" in stderr, stderr
        assert not (disk / "m.mp4").exists() and not (disk / "t.csv").exists()
        part = disk / "m.mp4.endoseg.part"
        if part.exists() and part.stat().st_size:
            with VideoReader(part) as reader:
                assert 0 < sum(1 for _ in reader) < FRAMES
        subprocess.run([*mount[:4], "remount,size=20m", *mount[5:]], check=True)
        complete(*command(clip, disk, random_model))
        assert digests(disk).items() >= undisturbed.items()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
