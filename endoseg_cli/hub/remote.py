"""One file from the Hugging Face Hub or a mirror, checked against its SHA-256; the only user of huggingface_hub."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from endoseg_cli.errors import WeightsError
from endoseg_cli.hub.integrity import fault_of
from endoseg_cli.hub.manifest import Entry, is_sha256

HUB = "huggingface.co"
ANSWER_SECONDS = 4.0
"""How long the Hub may take to answer; HF_HUB_ETAG_TIMEOUT overrides it."""

OnProgress = Callable[[int, int | None], None]
"""Gets the bytes that have come and the total, None if unknown."""


def is_offline() -> bool:
    """Tell whether HF_HUB_OFFLINE switches the network off."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def cached_file(entry: Entry) -> Path | None:
    """Return an entry's file in the Hub's cache, None if it is not there."""
    from huggingface_hub import try_to_load_from_cache

    assert entry.repo_id is not None, "bundled weights have no repository"
    found = try_to_load_from_cache(entry.repo_id, entry.filename, revision=entry.revision)
    return Path(found) if isinstance(found, str) else None


def discard(path: Path) -> None:
    """Delete a file of a cache, and what its link points to."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def download(entry: Entry, *, endpoint: str | None, on_progress: OnProgress | None) -> Path:
    """Fetch an entry's file into the Hub's cache; a damaged one is deleted and fetched once more.

    Raises WeightsError, or OutputError if the cache cannot be written.
    """
    from endoseg_cli.hub.refusals import in_words

    mirror = (endpoint or os.environ.get("HF_ENDPOINT") or "").rstrip("/") or None
    if mirror is not None and not mirror.startswith(("http://", "https://")):
        raise WeightsError(f"an endpoint starts with https:// or http://, found {mirror}")
    fault = None
    token: Literal[False] | None = None if may_see_token(endpoint, mirror) else False
    with in_words(entry, mirror), _without_xet(mirror is not None):
        stated = _ask_sha256(entry, mirror, token)
        for again in (False, True):
            path = _download(entry, mirror, on_progress, token, force=again)
            fault = fault_of(path, entry, stated)
            if fault is None:
                return path
            discard(path)
    raise WeightsError(
        f"{entry.filename} of {entry.repo_id} came damaged twice: {fault}",
        hint="a mirror or proxy may change files; try another network or --endpoint, and update endoseg",
    )


def may_see_token(endpoint: str | None, mirror: str | None) -> bool:
    """Tell whether HF_TOKEN goes to where the file comes from: the Hub, or the HF_ENDPOINT of the same environment.

    Never to an address that was only typed as --endpoint, and never unencrypted beyond this machine.
    """
    address = urlsplit(mirror or "https://huggingface.co")
    is_hub = address.hostname is not None and (address.hostname == HUB or address.hostname.endswith("." + HUB))
    is_safe = address.scheme == "https" or address.hostname in ("localhost", "127.0.0.1", "::1")
    return is_safe and (is_hub or not endpoint)


def _ask_sha256(entry: Entry, mirror: str | None, token: Literal[False] | None) -> str | None:
    """Ask once what the file is; hf_hub_download alone tries again for 23 seconds where nobody answers."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    assert entry.repo_id is not None, "bundled weights have no repository"
    url = hf_hub_url(entry.repo_id, entry.filename, revision=entry.revision, endpoint=mirror)
    etag = get_hf_file_metadata(url, timeout=_answer_seconds(), endpoint=mirror, token=token).etag
    return etag if etag is not None and is_sha256(etag) else None


def _download(
    entry: Entry, mirror: str | None, on_progress: OnProgress | None, token: Literal[False] | None, *, force: bool
) -> Path:
    from huggingface_hub import hf_hub_download

    assert entry.repo_id is not None, "bundled weights have no repository"
    with warnings.catch_warnings():
        # a disk that is too small fails anyway, with an error of our own
        warnings.filterwarnings("ignore", message="Not enough free disk space")
        path = hf_hub_download(
            entry.repo_id,
            entry.filename,
            revision=entry.revision,
            endpoint=mirror,
            token=token,
            force_download=force,
            etag_timeout=_answer_seconds(),
            tqdm_class=_bar_class(on_progress),
        )
    return Path(path)


def _answer_seconds() -> float:
    from huggingface_hub import constants

    wanted = float(constants.HF_HUB_ETAG_TIMEOUT)
    return ANSWER_SECONDS if wanted == constants.DEFAULT_ETAG_TIMEOUT else wanted


@contextmanager
def _without_xet(wanted: bool) -> Iterator[None]:
    """Keep to plain HTTP while a mirror is used: Xet would go past it to the Hub's own storage."""
    from huggingface_hub import constants

    before = constants.HF_HUB_DISABLE_XET
    # the variable of this name is read once, at import, which may have happened already
    constants.HF_HUB_DISABLE_XET = wanted or before
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = before


def _bar_class(on_progress: OnProgress | None) -> Any:
    """Return a class that huggingface_hub takes for a progress bar, and that only tells `on_progress`."""
    from tqdm.std import tqdm  # type: ignore[import-untyped]

    class SilentBar(tqdm):  # type: ignore[misc]
        def __init__(self, **settings: Any) -> None:
            super().__init__(**{**settings, "disable": True})
            self._bytes, self._all = settings.get("initial", 0), settings.get("total")

        def update(self, n: float | None = 1) -> None:
            self._bytes += int(n or 0)
            if on_progress is not None:
                on_progress(self._bytes, self._all)

    return SilentBar
