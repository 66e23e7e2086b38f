"""What weights there are: the entries of weights/manifest.toml."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from endoseg_cli.errors import WeightsError

MANIFEST = "manifest.toml"
TRAINING_DEFAULT = "resnet34-imagenet"
"""The entry that `endoseg train` starts its encoders from unless told otherwise."""

_PACKAGE = Path(__file__).resolve().parent.parent
# An installed package carries weights/ inside itself; in a checkout they lie beside the package.
_FOLDERS = (_PACKAGE / "weights", _PACKAGE.parent / "weights")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of weights: what it is and where it comes from."""

    name: str
    """What it is called on the command line."""
    description: str = ""
    """What it is, in a line."""
    bundled: bool = False
    """Whether it comes with endoseg, as `name`.safetensors beside the manifest."""
    encoder: str | None = None
    """The encoder that can start from it, if it is not a whole model."""
    repo_id: str | None = None
    """Owner and name of its repository on the Hub; None for bundled entries."""
    filename: str = "model.safetensors"
    """Its path inside the repository."""
    revision: str = "main"
    """Commit, tag or branch; a full commit hash can never mean another file."""
    sha256: str | None = None
    """Its SHA-256, 64 hex digits, where known; else the Hub's statement counts."""
    size: int | None = None
    """Its size in bytes; rounded where `sha256` is not known."""
    licence: str = "not stated"
    """Terms under which it may be used."""
    citation: str = "not stated"
    """Whom to cite."""

    def __post_init__(self) -> None:
        if self.bundled == (self.repo_id is not None):
            raise WeightsError(f"weights entry {self.name} must be either bundled or have a repo_id")
        if self.repo_id is not None and not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", self.repo_id):
            raise WeightsError(f"a repository is named owner/name, found {self.repo_id}")
        if not re.fullmatch(r"\w[\w./-]*", self.revision) or ".." in self.revision:
            raise WeightsError(f"a revision is a branch, a tag or a commit, found {self.revision}")
        if not self.filename or ".." in PurePath(self.filename).parts or is_rooted(self.filename):
            raise WeightsError(f"expected a path inside the repository, found {self.filename}")
        if self.sha256 is not None and not is_sha256(self.sha256):
            raise WeightsError(f"weights entry {self.name}: a SHA-256 has 64 hex digits, found {self.sha256}")

    @property
    def local_name(self) -> str:
        """The file name it gets in a folder of the user's (`--dest`)."""
        return self.name + Path(self.filename).suffix

    def at(self, revision: str) -> Entry:
        """Return the entry at another revision, of which neither hash nor size are known."""
        if self.bundled:
            raise WeightsError(f"{self.name} comes with endoseg and has no other revision", hint="leave out --revision")
        return self if revision == self.revision else replace(self, revision=revision, sha256=None, size=None)


def is_rooted(name: str) -> bool:
    """Tell whether a path begins at a root or a drive, of this system or another one."""
    return PurePosixPath(name).is_absolute() or bool(PureWindowsPath(name).anchor) or "\\" in name or "\0" in name


def is_sha256(text: str) -> bool:
    """Tell whether `text` can be a SHA-256: 64 lower-case hex digits."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def is_commit(revision: str) -> bool:
    """Tell whether a revision is a full commit hash, so that what is in a cache cannot be out of date."""
    return re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def load_manifest(path: Path | None = None) -> dict[str, Entry]:
    """Return the entries of a manifest (default: endoseg's own) by name; raises WeightsError if it cannot be read."""
    path = _own_manifest() if path is None else path
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: _entry(name, table) for name, table in tables.items()}
    except (OSError, tomllib.TOMLDecodeError, TypeError, UnicodeDecodeError) as error:
        raise WeightsError(f"cannot read the list of weights {path}: {error}", hint="install endoseg again") from error


def find_entry(name: str) -> Entry:
    """Return the entry called `name`; raises WeightsError with the nearest name if there is none."""
    entries = load_manifest()
    if name in entries:
        return entries[name]
    near = difflib.get_close_matches(name, entries, n=1)
    hint = f"did you mean {near[0]}" if near else f"there are {', '.join(entries)}"
    raise WeightsError(f"no weights are called {name}", hint=hint)


def bundled_file(entry: Entry) -> Path:
    """Return where the file of a bundled entry lies, or should lie."""
    return _own_manifest().with_name(entry.local_name)


def _entry(name: str, table: Mapping[str, Any]) -> Entry:
    return Entry(name=name, **table)


def _own_manifest() -> Path:
    found = [folder / MANIFEST for folder in _FOLDERS if (folder / MANIFEST).is_file()]
    if not found:
        raise WeightsError(f"no {MANIFEST} beside or inside {_PACKAGE}", hint="install endoseg again")
    return found[0]
