"""A real Ray cluster of two nodes on this machine, whose workers and nodes are killed in the middle of a video.

It takes minutes, and Ray, which `.ci/run` does not install: `pip install "endoseg-cli[ray]"`, then
`pytest tests/inference/cluster/test_ray_cluster.py`.
"""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="the tests on a cluster need ray")

from endoseg_cli.inference.cluster.private_folder import LOCK, PREFIX
from tests.hostile.processes import complete, finish, start, wait_until
from tests.inference.brightness import decode, disc_picture
from tests.inference.cluster.in_process import same_video
from tests.video.rendering import Clip, render_clip

pytestmark = [
    pytest.mark.timeout(600),
    # of ray's own threads and sockets
    pytest.mark.filterwarnings("ignore"),
]
LONG, SHORT = 120, 8
"""Frames of a video that takes long enough to be interrupted, and of one that does not."""
OPTIONS = ("--precision", "fp32", "--device", "cpu")
TRIES = 3
"""How often a node is started: on a busy machine Ray gives up after 30 s."""


class TwoNodes:
    """The cluster, and the folder in which its workers put what they are doing."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.temporary = folder
        self._cluster = Cluster()
        self.head = self.add(include_dashboard=False)
        self.other = self.add()
        self.options = ("--engine", "ray", "--address", self._cluster.address, *OPTIONS)

    def add(self, **options: Any) -> Any:
        """Start a node of one core."""
        for left in reversed(range(TRIES)):
            try:
                return self._cluster.add_node(num_cpus=1, **options)
            except Exception:
                if not left:
                    raise

    def remove(self, node: Any) -> None:
        """Let a machine be lost."""
        self._cluster.remove_node(node, allow_graceful=False)

    def working(self, video: str) -> int | None:
        """Return the process that is in the middle of a video, None if there is none."""
        for part in self.temporary.glob(f"{PREFIX}*/out/**/{video}.endoseg.part"):
            if part.stat().st_size > 0:
                folder = self.temporary / part.relative_to(self.temporary).parts[0]
                return int((folder / LOCK).read_text())
        return None

    def in_the_middle(self, video: str, process: subprocess.Popen[str]) -> int:
        """Wait until a video is being done and return by whom."""
        wait_until(lambda: self.working(video) is not None, process)
        pid = self.working(video)
        assert pid is not None, finish(process)
        return pid

    def left_over(self) -> list[Path]:
        """Return the private folders of tasks that are there now, once those that are ending have ended."""
        end = time.monotonic() + 20
        while (found := list(self.temporary.glob(f"{PREFIX}*"))) and time.monotonic() < end:
            time.sleep(0.2)
        return found


@pytest.fixture
def nodes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoNodes]:
    temporary = tmp_path_factory.mktemp("t")
    short = Path("/tmp") / f"r{os.getpid()}"  # paths of sockets may have 107 bytes
    short.mkdir()
    for name, value in {
        "TMPDIR": str(temporary),
        "RAY_TMPDIR": str(short),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "OMP_NUM_THREADS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    cluster = TwoNodes(temporary)
    try:
        yield cluster
    finally:
        cluster._cluster.shutdown()
        shutil.rmtree(short, ignore_errors=True)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """One long and two short videos."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name, frames in (("a.mp4", SHORT), ("long.mp4", LONG), ("z.mp4", SHORT)):
        render_clip(folder, Clip(name=name, picture=disc_picture, frames=frames))
    return folder


def products(folder: Path) -> tuple[object, ...]:
    return ("--out", folder / "masks", "--overlay", folder / "overlays", "--records", folder / "t.csv")


def visible(folder: Path) -> list[str]:
    """Return the files below a folder, without the notes of what is finished."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if ".endoseg" not in path.parts)


def test_a_worker_killed_in_the_middle_of_a_video(nodes: TwoNodes, videos: Path, tmp_path: Path) -> None:
    here, far = tmp_path / "here", tmp_path / "far"
    process = start("segment", videos, *products(far), *nodes.options)
    pid = nodes.in_the_middle("long.mp4", process)
    os.kill(pid, signal.SIGKILL)
    stderr = finish(process)
    assert process.returncode == 0 and "3 videos: 3 done, 0 done before, 0 failed" in stderr
    complete("segment", videos, *products(here), *OPTIONS)
    assert visible(far) == visible(here) and len(visible(far)) == 7
    assert (far / "t.csv").read_text() == (here / "t.csv").read_text()
    for name in ("masks/long.mp4", "overlays/long.mp4", "masks/a.mp4"):
        assert same_video(far / name, here / name)

    times = {path: path.stat().st_mtime_ns for path in far.rglob("*.mp4")}
    again = start("segment", videos, *products(far), *nodes.options)
    stderr = finish(again)
    assert again.returncode == 0 and "3 videos: 0 done, 3 done before, 0 failed" in stderr
    assert {path: path.stat().st_mtime_ns for path in far.rglob("*.mp4")} == times
    assert (far / "t.csv").read_text() == (here / "t.csv").read_text() and nodes.left_over() == []


def test_videos_that_fail_are_named_and_the_next_run_does_only_them(
    nodes: TwoNodes, videos: Path, tmp_path: Path
) -> None:
    (videos / "a.mp4").rename(tmp_path / "whole.mp4")
    (videos / "a.mp4").write_bytes(b"not a video" * 100)
    out = tmp_path / "out"
    process = start("segment", videos, *products(out), *nodes.options, "--retries", 0)
    os.kill(nodes.in_the_middle("long.mp4", process), signal.SIGKILL)
    stderr = finish(process)
    assert process.returncode == 7 and "3 videos: 1 done, 0 done before, 2 failed" in stderr
    assert f"failed: {videos / 'long.mp4'}: {videos / 'long.mp4'} was not done: its worker was killed" in stderr
    assert f"failed: {videos / 'a.mp4'}: " in stderr
    assert visible(out) == ["masks/z.mp4", "overlays/z.mp4", "t.csv"]
    assert {row["input"] for row in csv.DictReader((out / "t.csv").open())} == {"z.mp4"}

    (tmp_path / "whole.mp4").replace(videos / "a.mp4")
    again = start("segment", videos, *products(out), *nodes.options)
    stderr = finish(again)
    assert again.returncode == 0 and "3 videos: 2 done, 1 done before, 0 failed" in stderr
    rows = [Path(row["input"]).name for row in csv.DictReader((out / "t.csv").open())]
    assert rows == ["a.mp4"] * SHORT + ["long.mp4"] * LONG + ["z.mp4"] * SHORT
    assert len(decode(out / "masks/long.mp4")[0]) == LONG and nodes.left_over() == []


def test_a_node_that_is_lost_in_the_middle_of_a_video(nodes: TwoNodes, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("a.mp4", "z.mp4"):
        shutil.copy(videos / "long.mp4", videos / name)
    process = start("segment", videos / "a.mp4", videos / "z.mp4", "--out", out, *nodes.options)
    pids = {nodes.in_the_middle(name, process) for name in ("a.mp4", "z.mp4")}
    assert len(pids) == 2 and any(_belongs(pid, nodes.other) for pid in pids)
    nodes.remove(nodes.other)
    stderr = finish(process, 300)
    assert process.returncode == 0 and "2 videos: 2 done, 0 done before, 0 failed" in stderr
    assert visible(out) == ["a.mp4", "z.mp4"] and len(decode(out / "a.mp4")[0]) == len(decode(out / "z.mp4")[0]) == LONG


def _belongs(pid: int, node: Any) -> bool:
    """Whether a worker is a child of a node's processes."""
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return any(process.process.pid == parent for kind in node.all_processes.values() for process in kind)


def test_ctrl_c_stops_all_tasks_and_leaves_nothing(nodes: TwoNodes, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start("segment", videos / "long.mp4", *products(out)[:2], *nodes.options)
    nodes.in_the_middle("long.mp4", process)
    process.send_signal(signal.SIGINT)
    stderr = finish(process, 60)
    assert process.returncode == 130, stderr
    assert visible(out) == [] and nodes.left_over() == []


def test_what_no_node_has_is_refused_at_once(nodes: TwoNodes, videos: Path, tmp_path: Path) -> None:
    process = start("segment", videos, *products(tmp_path / "out"), *nodes.options, "--cpus-per-video", 64)
    stderr = finish(process)
    assert process.returncode == 6 and "no node has the 64 CPUs and 0 GPUs that a video is to have: 1 CPUs" in stderr
    assert not (tmp_path / "out/t.csv").exists()
