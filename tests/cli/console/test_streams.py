"""Whoever stops listening does not stop the work; a stream that cannot be written is an error of one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPEAKS = """
import sys
from endoseg_cli.cli.console.streams import outlive_readers
outlive_readers()
for line in range(1000):
    print("x" * 1000, file=sys.{stream}, flush=True)
open({path!r}, "w").write("done")
"""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_work_goes_on_when_the_reader_has_gone(stream: str, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    code = SPEAKS.format(stream=stream, path=str(tmp_path / "done"))
    other = "stderr" if stream == "stdout" else "stdout"
    pipes = {stream: write, other: subprocess.PIPE}
    done = subprocess.run([sys.executable, "-c", code], check=True, **pipes)  # type: ignore[call-overload]
    os.close(write)
    assert (tmp_path / "done").is_file() and not getattr(done, other)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_said_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "endoseg_cli", "--version"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.splitlines()[0] == "error: cannot write to stdout: No space left on device"
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_messages_that_cannot_be_kept_stop_nothing(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        code = SPEAKS.format(stream="stderr", path=str(tmp_path / "done"))
        done = subprocess.run([sys.executable, "-c", code], stderr=full, stdout=subprocess.PIPE, check=True)
    assert (tmp_path / "done").is_file() and not done.stdout


def test_python_without_buffers_stays_without() -> None:
    code = (
        "import os, sys; from endoseg_cli.cli.console.streams import outlive_readers; outlive_readers();"
        "sys.stdout.write('out'); sys.stderr.write('err'); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-u", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("out", "err")
