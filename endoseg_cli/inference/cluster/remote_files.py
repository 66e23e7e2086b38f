"""Files that may lie elsewhere: fetched and sent on through fsspec, whole or not at all; paths are themselves.

Every address is a path that pathlib made of it (`s3:/bucket/a.mp4`) or, where it may hold a signature, its text. Keys
are those of the machine that reads or writes: none is taken from anywhere else or passed on.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from endoseg_cli.data.labels.layout import MASK_VIDEO_ENDINGS
from endoseg_cli.errors import MissingInputError, OutputError, UsageError
from endoseg_cli.inference.cluster.refusals import NetworkError, Purpose, in_words
from endoseg_cli.inference.inputs.addresses import called, is_address, without_secrets
from endoseg_cli.part_file import whole_file
from endoseg_cli.pictures.images import is_image, is_video

TRIES = 3
"""How often a file is asked for where the network fails; what is missing or refused is asked for once."""
WAIT_SECONDS = 1.0
"""How long the first wait between two tries is; each further one is four times as long."""
CHUNK_BYTES = 16 << 20
"""In what pieces a file is sent to a store: few enough of those that a store takes (10,000) for 160 GB."""


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file in a store or on a web server."""

    url: str
    """Its whole address, with its signature if it has one."""
    place: Path
    """Its path below the folder it was found in, without suffix."""
    size: int | None
    """Bytes, None where the server does not say."""

    @property
    def path(self) -> Path:
        """Its address as a path, without login and query."""
        return Path(without_secrets(self.url))


def find_remote(url: str) -> list[RemoteFile]:
    """Return the videos that an address stands for: a file, a folder of a store (searched through) or a pattern.

    Raises MissingInputError where there is none, UsageError where there are pictures, which are not fetched one by one.
    """
    shown = without_secrets(url)
    with _store(url, "read") as (store, path):
        has_folders = not url.startswith("http")  # there, ? and * may be part of a query
        is_pattern = has_folders and any(character in path for character in "*?[")
        if is_pattern:
            found = _files(store.glob(path, detail=True).values())
        elif has_folders and store.isdir(path):
            found = _files(store.find(path, detail=True).values())
        else:
            return [_one_file(url, store.info(path))]
    _check(found, shown)
    base = None if is_pattern else path
    return [_file_below(name, found[name], url.partition("://")[0], base) for name in sorted(found)]


def _one_file(url: str, facts: dict[str, Any]) -> RemoteFile:
    name = PurePosixPath(without_secrets(url).partition("://")[2])
    if len(name.parts) < 2:
        raise MissingInputError(f"the address names no file: {without_secrets(url)}", hint="name the video")
    _check({str(name): facts}, without_secrets(url))
    return _remote_file(url, Path(name.stem), facts)


def _file_below(name: str, facts: dict[str, Any], scheme: str, base: str | None) -> RemoteFile:
    path = PurePosixPath(name)
    place = Path(path.stem if base is None else path.relative_to(base).with_suffix(""))
    return _remote_file(f"{scheme}://{name.lstrip('/')}", place, facts)


def _check(found: dict[str, Any], shown: str) -> None:
    """Raise MissingInputError where nothing was found, UsageError for pictures."""
    pictures = sum(is_image(Path(name)) for name in found)
    if pictures:
        hint = f"name the videos, such as {shown.rstrip('/').partition('*')[0].rstrip('/')}/*.mp4"
        raise UsageError(f"pictures are not read from addresses, found {pictures}: {shown}", hint=hint)
    if not found:
        raise MissingInputError(f"no videos at {shown}", hint="check the address, and quote a pattern")


def fetch(url: str, target: Path, size: int | None) -> None:
    """Copy a file from an address to a path in constant memory and check that all of it came; raises InputError."""
    for wait in [WAIT_SECONDS * 4**number for number in range(TRIES - 1)] + [None]:
        try:
            with _store(url, "read") as (store, path):
                store.get_file(path, str(target))
            found = target.stat().st_size
            if size is not None and found != size:
                message = f"{without_secrets(url)} came with {found} bytes, expected {size}"
                raise NetworkError(message, hint="try again, and check that nobody replaces it")
            return
        except NetworkError:
            if wait is None:
                raise
            time.sleep(wait)


def deliver(local: Path, place: Path) -> None:
    """Copy a finished file to its final place, path or address, so that nobody sees half of it, and check it there.

    Raises OutputError.
    """
    size = local.stat().st_size
    if is_address(place):
        with _store(called(place), "written") as (store, path):
            store.put_file(str(local), path, chunksize=CHUNK_BYTES)  # appears when all of it has come
            facts = store.info(path)
        if facts["size"] != size or _stated_md5(facts) not in (None, _md5_where(facts, local)):
            message = f"{called(place)} did not arrive whole: {facts['size']} bytes, sent {size}"
            raise OutputError(message, hint="try again")
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with local.open("rb") as source, whole_file(place) as file:
            shutil.copyfileobj(source, file, 1 << 20)
            if file.tell() != size:
                raise OutputError(f"cannot write {place}: its temporary file changed", hint="check the disk of TMPDIR")
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write {place}: {error.strerror or error}", hint="check the free space") from error


def size_of(place: Path) -> int | None:
    """Return the bytes of a file at a path or address, None if there is none."""
    if not is_address(place):
        return place.stat().st_size if place.is_file() else None
    try:
        with _store(called(place), "read") as (store, path):
            facts = store.info(path)
    except MissingInputError:
        return None
    return int(facts["size"]) if facts["type"] == "file" else None


def sizes_below(folder: Path) -> dict[str, int]:
    """Return the bytes of every file right in a folder, path or address, by name; empty if there is no such folder."""
    if not is_address(folder):
        return {path.name: path.stat().st_size for path in folder.iterdir()} if folder.is_dir() else {}
    try:
        with _store(called(folder), "read") as (store, path):
            return {PurePosixPath(one["name"]).name: int(one["size"]) for one in store.ls(path, detail=True)}
    except MissingInputError:
        return {}


def read_small(place: Path) -> bytes | None:
    """Return the content of a small file at a path or address, None if there is none."""
    if not is_address(place):
        return place.read_bytes() if place.is_file() else None
    try:
        with _store(called(place), "read") as (store, path):
            return bytes(store.cat_file(path))
    except MissingInputError:
        return None


@contextmanager
def _store(url: str, purpose: Purpose) -> Iterator[tuple[Any, str]]:
    """Give fsspec's file system for an address and the path in it, without what it remembers of listings."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        message = f"{without_secrets(url)}: addresses need the package fsspec"
        raise UsageError(message, hint='pip install "endoseg-cli[ray]"') from error
    with in_words(url, purpose):
        together = {"max_concurrency": 2} if url.startswith("s3:") else {}  # each chunk on its way takes memory
        store, path = url_to_fs(url, use_listings_cache=False, **together)
        store.invalidate_cache()
        yield store, path


def _files(entries: Any) -> dict[str, dict[str, Any]]:
    """Return the videos and pictures among a store's entries by name.

    Hidden ones, names that lead out of their folder (..), and videos of masks are left out.
    """
    files = {one["name"]: one for one in entries if one["type"] == "file"}
    media = [
        path
        for path in map(PurePosixPath, files)
        if (is_video(Path(path)) or is_image(Path(path))) and not any(part.startswith(".") for part in path.parts)
    ]
    stems = {str(path.with_suffix("")) for path in media if is_video(Path(path))}
    return {str(path): files[str(path)] for path in media if not _is_of_masks(path, stems)}


def _is_of_masks(path: PurePosixPath, stems: set[str]) -> bool:
    stem = str(path.with_suffix(""))
    return stem in stems and any(
        stem.endswith(ending) and stem.removesuffix(ending) in stems for ending in MASK_VIDEO_ENDINGS
    )


def _remote_file(url: str, place: Path, facts: dict[str, Any]) -> RemoteFile:
    size = facts.get("size")
    return RemoteFile(url=url, place=place, size=None if size is None else int(size))


def _stated_md5(facts: dict[str, Any]) -> str | None:
    """Return the MD5 that a store (Google's) says it holds; S3 checks sums while it takes a file."""
    stated = facts.get("md5Hash")
    return stated if isinstance(stated, str) else None


def _md5_where(facts: dict[str, Any], local: Path) -> str | None:
    if _stated_md5(facts) is None:
        return None
    with local.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return base64.b64encode(digest.digest()).decode()
