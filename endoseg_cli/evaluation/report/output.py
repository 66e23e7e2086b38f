"""Write result files whole or not at all."""

from __future__ import annotations

from pathlib import Path

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.part_file import whole_file


def check_output(path: Path, option: str, *, overwrite: bool) -> None:
    """Refuse an output before any work is done; raises OutputError, or UsageError if `path` is a folder."""
    if path.is_dir():
        raise UsageError(f"{option} needs a file, found the folder {path}", hint="add a file name")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already", hint="choose another name or add --overwrite")


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 under a temporary name and rename it; raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(text.encode("utf-8"))
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}", hint="check the folder and its free space"
        ) from error
