"""The videos of a job that several machines do: paths that all of them see, and addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from endoseg_cli.errors import MissingInputError, UsageError
from endoseg_cli.inference.cluster.remote_files import RemoteFile, find_remote
from endoseg_cli.inference.inputs.addresses import is_address, plain_input, without_secrets
from endoseg_cli.inference.inputs.sources import Source, find_sources, is_standard_input, named


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What there is to segment."""

    texts: tuple[str, ...]
    """The inputs as given, file:// as its path, addresses without secrets."""
    sources: tuple[Source, ...]
    """The videos, in the order of the inputs; the path of one in a store is its address."""
    remote: dict[Path, RemoteFile]
    """Those in stores and on web servers, by that path."""


def find_videos(inputs: Sequence[str], *, sequences: bool, on_note: Callable[[str], None]) -> Inputs:
    """Return the videos that files, folders, globs and addresses stand for, each once.

    Raises what `find_sources` and `find_remote` raise, and UsageError for pictures that are no frames of a video.
    """
    texts = [plain_input(text) for text in inputs]
    found: dict[Path, Source] = {}
    remote: dict[Path, RemoteFile] = {}
    for elsewhere, group in groupby(texts, key=is_address):
        members = list(group)
        for source in [] if elsewhere else find_sources(members, sequences=sequences, on_note=on_note):
            found.setdefault(source.path.resolve(), source)
        for file in [file for text in members for file in find_remote(text)] if elsewhere else []:
            remote.setdefault(file.path, file)
            found.setdefault(file.path, Source(path=file.path, place=file.place))
    _check([source for path, source in found.items() if path not in remote])
    shown = tuple(without_secrets(text) if is_address(text) else text for text in texts)
    return Inputs(texts=shown, sources=tuple(named(list(found.values()))), remote=remote)


def _check(sources: Sequence[Source]) -> None:
    pictures = [source.path for source in sources if source.is_picture]
    if pictures:
        raise UsageError(
            f"--engine ray does videos, found {len(pictures)} pictures, the first is {pictures[0]}",
            hint="segment pictures without it, or say with --fps that they are the frames of videos",
        )
    for source in sources:
        if is_standard_input(source.path):
            raise MissingInputError(f"no other machine can read {source.path}", hint="name a file")
