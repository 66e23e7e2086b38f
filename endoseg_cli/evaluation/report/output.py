"""Where result files may go."""

from __future__ import annotations

from pathlib import Path

from endoseg_cli.errors import OutputError, UsageError


def check_output(path: Path, option: str, *, overwrite: bool) -> None:
    """Refuse an output before any work is done; raises OutputError, or UsageError if `path` is a folder."""
    if path.is_dir():
        raise UsageError(f"{option} needs a file, found the folder {path}", hint="add a file name")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already", hint="choose another name or add --overwrite")
