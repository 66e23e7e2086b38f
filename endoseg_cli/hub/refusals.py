"""What the Hub refuses and what a network can do, in words and with what to do about it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants, errors

# of the HTTP library beneath, which differs between releases of huggingface_hub
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

from endoseg_cli.errors import EndosegError, OutputError, WeightsError
from endoseg_cli.hub.manifest import Entry

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.EIO}
_NO_NETWORK = "without a network: --from-dir FOLDER with files from another machine; behind a firewall: --endpoint URL"


@contextmanager
def in_words(entry: Entry, mirror: str | None) -> Iterator[None]:
    """Turn whatever huggingface_hub raises inside into WeightsError, or OutputError if the disk is the cause."""
    try:
        yield
    except EndosegError:
        raise
    except (OSError, ValueError, RuntimeError, HTTPError) as error:
        raise _translate(error, entry, mirror or constants.ENDPOINT) from error


def _translate(error: Exception, entry: Entry, host: str) -> EndosegError:
    repository = f"{host}/{entry.repo_id}"
    login = "log in with hf auth login or set HF_TOKEN"
    # the order matters: each of these is a child of one further down
    match error:
        case errors.GatedRepoError():
            return WeightsError(
                f"{repository} is gated: its owner asks to accept terms first", hint=f"accept them there, then {login}"
            )
        case errors.RepositoryNotFoundError():
            return WeightsError(f"there is no repository {repository}, or it is private", hint=f"check it, or {login}")
        case errors.RevisionNotFoundError():
            return WeightsError(f"{repository} has no revision {entry.revision}", hint="check --revision")
        case errors.RemoteEntryNotFoundError():
            return WeightsError(
                f"{repository} has no file {entry.filename} at revision {entry.revision}", hint="check --file"
            )
        case errors.FileMetadataError():
            return WeightsError(
                f"{host} does not speak the Hub's protocol: {_first_line(error)}",
                hint="fetch the file from it by other means and use --from-dir",
            )
        case errors.HfHubHTTPError():
            return _translate_status(error, repository)
        case errors.LocalEntryNotFoundError() if isinstance(error.__cause__, Exception):
            return _translate(error.__cause__, entry, host)
        case OSError() if error.errno in _DISK_ERRORS:
            return OutputError(
                f"cannot write {entry.name} to {constants.HF_HUB_CACHE}: {error.strerror or error}",
                hint="free some space, or set HF_HOME to another disk",
            )
        case HTTPError() if "Timeout" in type(error).__name__:
            return WeightsError(f"{host} did not answer in time while fetching {entry.name}", hint=_NO_NETWORK)
        case HTTPError():
            return WeightsError(f"{host} cannot be reached: {_first_line(error)}", hint=_NO_NETWORK)
    return WeightsError(f"{entry.name} could not be fetched from {host}: {_first_line(error)}", hint="try again")


def _translate_status(error: errors.HfHubHTTPError, repository: str) -> WeightsError:
    status = error.response.status_code
    match status:
        case 401 | 403:
            hint = "log in with hf auth login or set HF_TOKEN, and check what your token may read"
            return WeightsError(f"{repository} may not be read: the server answered {status}", hint=hint)
        case 429:
            wait = error.response.headers.get("Retry-After")
            hint = f"wait {wait} seconds and try again" if wait else "wait some minutes and try again"
            return WeightsError(f"{repository}: too many requests, the server answered 429", hint=hint)
        case _ if status >= 500:
            return WeightsError(f"{repository}: the server is out of order, it answered {status}", hint="try later")
    return WeightsError(f"{repository}: the server answered {status}", hint="check the repository and the file's name")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
