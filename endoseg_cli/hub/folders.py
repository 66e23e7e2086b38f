"""Weights in folders: endoseg's own cache, and folders that people carry from one machine to another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from endoseg_cli.errors import MissingInputError, OutputError, WeightsError
from endoseg_cli.hub.integrity import fault_of
from endoseg_cli.hub.manifest import Entry
from endoseg_cli.part_file import whole_file
from endoseg_cli.user_cache import user_cache


def installed_file(entry: Entry) -> Path:
    """Return where endoseg keeps an entry that came from a folder (`--from-dir`), whether it is there or not."""
    assert entry.repo_id is not None, "bundled weights are not installed"
    return user_cache("weights") / entry.repo_id / entry.revision.replace("/", "--") / entry.filename


def install_from(entry: Entry, folder: Path) -> Path:
    """Copy an entry's file from `folder` into endoseg's cache and return it there.

    Raises MissingInputError if there is no such folder, WeightsError if the file is not in it or is damaged.
    """
    if not folder.is_dir():
        raise MissingInputError(f"no folder at {folder}", hint="check the path given to --from-dir")
    candidates = list(_candidates(entry, folder))
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise WeightsError(f"{folder} holds no {candidates[0].name}", hint=_hint(entry))
    fault = fault_of(found, entry)
    if fault is not None:
        raise WeightsError(f"{found} is damaged: {fault}", hint="copy it again from where it was downloaded")
    return copy_to(found, installed_file(entry))


def copy_to(source: Path, target: Path) -> Path:
    """Copy a file so that `target` never holds part of it; raises OutputError if it cannot be written."""
    if target.exists() and target.samefile(source):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as original, whole_file(target) as copy:
            shutil.copyfileobj(original, copy)
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}", hint="check the folder and its free space"
        ) from error
    return target


def _candidates(entry: Entry, folder: Path) -> Iterator[Path]:
    assert entry.repo_id is not None, "bundled weights are not installed"
    yield folder / entry.local_name
    yield folder / entry.repo_id / entry.filename
    yield folder / entry.repo_id / entry.revision / entry.filename
    # a copy of the Hub's cache
    snapshots = folder / ("models--" + entry.repo_id.replace("/", "--")) / "snapshots"
    yield snapshots / entry.revision / entry.filename


def _hint(entry: Entry) -> str:
    return (
        f"on a machine with a network, run endoseg download-weights {entry.name} --dest FOLDER, or save"
        f" {entry.filename} of huggingface.co/{entry.repo_id} as {entry.local_name}"
    )
