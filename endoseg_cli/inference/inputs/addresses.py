"""Addresses (s3://bucket/folder/a.mp4) where elsewhere there are paths: told apart, and shown without their secrets."""

from __future__ import annotations

import re
from pathlib import Path

from endoseg_cli.errors import UsageError

WRITABLE = ("s3", "gs")
"""Stores that take outputs; web servers (http, https) are read only, and file:// is another way to write a path."""
# pathlib folds the slashes of an address into one
_ADDRESS = re.compile(r"\b(s3|gs|https?):/+(?=[^/\s])")
_ANY_ADDRESS = re.compile(r"([a-zA-Z][\w+.-]+):/")
_LOGIN = re.compile(r"(\w+://)[^\s/@'\"]*@")
_QUERY = re.compile(r"(https?://[^\s?#'\"]*)[?#][^\s'\")]*")  # in a store, ? and # may be part of a name


def is_address(path: Path | str) -> bool:
    """Whether a text, or the path made of one, is an address in a store or on a web server."""
    return _ADDRESS.match(str(path)) is not None


def scheme_of(address: Path | str) -> str:
    """Return what an address begins with."""
    return str(address).partition(":")[0]


def called(path: Path | str) -> str:
    """Return a path, or a sentence with some, as people write it: the path of an address with both of its slashes."""
    return _ADDRESS.sub(r"\1://", str(path))


def without_secrets(text: str) -> str:
    """Return an address, or a sentence with some, without logins and queries, which hold keys and signatures."""
    return _QUERY.sub(r"\1", _LOGIN.sub(r"\1", text))


def plain_output(path: Path) -> Path:
    """Return an output as given, of file:// its path; raises UsageError for an address that takes no outputs."""
    kind = _ANY_ADDRESS.match(str(path))
    if kind is None or (is_address(path) and kind[1] in WRITABLE):
        return path
    if kind[1] == "file":
        return Path("/" + str(path).removeprefix("file:").lstrip("/"))
    shown = without_secrets(f"{kind[1]}://{str(path)[kind.end() :].lstrip('/')}")
    raise UsageError(f"nothing can be written to {shown}", hint="outputs go to a path, to s3:// or to gs://")


def plain_input(text: str) -> str:
    """Return an input as given, of file:// its path; raises UsageError for an address of another kind."""
    if text.startswith("file:///"):
        return text.removeprefix("file://")
    if "://" in text and not is_address(text):
        hint = "there are s3://, gs://, https://, http:// and file:///"
        raise UsageError(f"an address of an unknown kind: {without_secrets(text)}", hint=hint)
    return text
