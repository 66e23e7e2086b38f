"""Write result files whole or not at all."""

from __future__ import annotations

from pathlib import Path

from endoseg_cli.errors import OutputError, UsageError


def check_output(path: Path, option: str, *, overwrite: bool) -> None:
    """Refuse an output before any work is done; raises OutputError, or UsageError if `path` is a folder."""
    if path.is_dir():
        raise UsageError(f"{option} needs a file, found the folder {path}", hint="add a file name")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already", hint="choose another name or add --overwrite")


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 under a temporary name and rename it; raises OutputError."""
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}", hint="check the folder and its free space"
        ) from error
    finally:
        _remove_quietly(partial)


def _remove_quietly(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # the folder itself is missing or closed; the error that matters is already on its way
        return
