"""Real processes of `endoseg`, and how long they may take to end."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.hostile.budget import ROOT

MOST_SECONDS_TO_END = 10.0
"""How long a process may take to end once it is told to."""
MOST_SECONDS = 200.0
"""How long a whole run may take on a busy machine."""


def start(*arguments: object, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start `endoseg` with the arguments."""
    command = [sys.executable, "-m", "endoseg_cli", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
        preexec_fn=take_ctrl_c,
    )


def environment() -> dict[str, str]:
    """Return the variables of a process that runs this package on one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def take_ctrl_c() -> None:
    """Let Ctrl-C through, which a suite that was started in the background would have it ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: subprocess.Popen[str], seconds: float = MOST_SECONDS) -> str:
    """Wait for a process and return its stderr, in which there is no traceback; kill it if it does not end."""
    try:
        _, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"it had not ended after {seconds:g} s") from None
    assert "Traceback" not in stderr and "internal error" not in stderr, stderr
    return stderr


def complete(*arguments: object) -> None:
    """Run `endoseg` to its end, which must be a good one."""
    process = start(*arguments)
    stderr = finish(process)
    assert process.returncode == 0, stderr


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something is so or the process has ended."""
    end = time.monotonic() + MOST_SECONDS
    while not is_so() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)


def digests(folder: Path, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder by its name."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in without]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
