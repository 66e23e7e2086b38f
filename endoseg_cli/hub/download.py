"""Get weights: from the package, from a cache, from a folder, else from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from endoseg_cli.errors import WeightsError
from endoseg_cli.hub import remote
from endoseg_cli.hub.folders import copy_to, install_from, installed_file
from endoseg_cli.hub.integrity import fault_of
from endoseg_cli.hub.manifest import Entry, bundled_file, is_commit

State = Literal["bundled", "cached", "remote"]
"""Whether weights come with endoseg, were fetched before, or would have to be fetched."""


def state(entry: Entry) -> State:
    """Tell where an entry is, without a network and without checking its hash."""
    return "bundled" if entry.bundled else "cached" if _local_files(entry) else "remote"


def fetch(
    entry: Entry,
    *,
    dest: Path | None = None,
    endpoint: str | None = None,
    revision: str | None = None,
    offline: bool = False,
    from_dir: Path | None = None,
    on_progress: remote.OnProgress | None = None,
) -> Path:
    """Return a whole file of an entry's weights, fetching it where needed; with `dest`, a copy of it in that folder.

    `endpoint` is a mirror's address (default: HF_ENDPOINT, else the Hub), `on_progress` gets bytes and total (None if
    unknown). Raises WeightsError if the weights cannot be had or are damaged, OutputError if they cannot be written.
    """
    entry = entry if revision is None else entry.at(revision)
    path = _find(entry, from_dir)
    if path is None and (offline or remote.is_offline()):
        raise WeightsError(
            f"{entry.name} is not on this machine, and the network is switched off (--offline or HF_HUB_OFFLINE)",
            hint=f"fetch it once with endoseg download-weights {entry.name}, or use --from-dir",
        )
    # what a branch or a tag stands for can change, so the Hub is asked even where the cache has a file
    if path is None or not (offline or remote.is_offline() or _is_settled(entry, from_dir)):
        path = remote.download(entry, endpoint=endpoint, on_progress=on_progress)
    return path if dest is None else copy_to(path, dest / entry.local_name)


def _is_settled(entry: Entry, from_dir: Path | None) -> bool:
    return entry.bundled or from_dir is not None or is_commit(entry.revision)


def _find(entry: Entry, from_dir: Path | None) -> Path | None:
    """Return a whole file on this machine; damaged ones in a cache are deleted."""
    if entry.bundled:
        return _bundled(entry)
    if from_dir is not None:
        return install_from(entry, from_dir)
    for path in _local_files(entry):
        if fault_of(path, entry) is None:
            return path
        remote.discard(path)
    return None


def _bundled(entry: Entry) -> Path:
    path = bundled_file(entry)
    fault = fault_of(path, entry) if path.is_file() else "it is not there"
    if fault is not None:
        raise WeightsError(f"{path}, which comes with endoseg, is damaged: {fault}", hint="install endoseg again")
    return path


def _local_files(entry: Entry) -> list[Path]:
    cached = remote.cached_file(entry)
    return [path for path in (installed_file(entry), cached) if path is not None and path.is_file()]
