"""Whether a file of weights is whole: its SHA-256, and the header of .safetensors."""

from __future__ import annotations

import hashlib
from pathlib import Path

from endoseg_cli.hub.manifest import Entry, is_sha256


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fault_of(path: Path, entry: Entry, stated_sha256: str | None = None) -> str | None:
    """Return what is wrong with a file, or None.

    The expected hash is the manifest's, else `stated_sha256` (what the Hub said), else the name of the cache's blob,
    which is that hash for large files. Without any of them, a .safetensors file must have a header that fits its size.
    """
    blob = path.resolve().name
    expected = entry.sha256 or stated_sha256 or (blob if is_sha256(blob) else None)
    if expected is not None:
        found = sha256_of(path)
        return None if found == expected else f"its SHA-256 is {found}, expected {expected}"
    return _header_fault(path) if entry.filename.endswith(".safetensors") else None


def _header_fault(path: Path) -> str | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            return None
    except (SafetensorError, OSError) as error:
        return f"it is not a whole .safetensors file: {error}"
