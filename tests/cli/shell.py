"""A bash of its own, with its own home, in which `endoseg` is on the path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_in_bash(home: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run lines of bash; `endoseg` there is this checkout's."""
    program = home / "bin" / "endoseg"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m endoseg_cli "$@"\n')
    program.chmod(0o755)
    places = {"HOME": str(home), "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    # Where there is but one command, bash becomes that command and can no longer be recognised as its parent.
    command = ["bash", "--norc", "-c", f"{script}\nexit $?"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **places})
