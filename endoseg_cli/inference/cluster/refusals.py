"""What stores and web servers refuse, in one line, and without the keys and signatures of an address."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from endoseg_cli.errors import EndosegError, InputError, MissingInputError, OutputError
from endoseg_cli.inference.inputs.addresses import scheme_of, without_secrets

Purpose = Literal["read", "written"]
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
_CREDENTIALS = {
    "s3": "every node needs keys of its own: AWS_ACCESS_KEY_ID, ~/.aws or a role, and AWS_ENDPOINT_URL elsewhere",
    "gs": "every node needs keys of its own: GOOGLE_APPLICATION_CREDENTIALS or a service account",
}
_TELLING = ("NoCredentials", "PartialCredentials", "TokenRetrieval", "DefaultCredentials", "AccessDenied", "Forbidden")


class NetworkError(InputError):
    """A store or the network to it failed, so that another try may help."""


@contextmanager
def in_words(url: str, purpose: Purpose) -> Iterator[None]:
    """Turn whatever a store raises inside into an EndosegError that names the address without its secrets."""
    try:
        yield
    except EndosegError:
        raise
    except ImportError as error:
        raise _error(purpose)(
            f"{scheme_of(url)}:// needs a package that is not installed: {_first_line(error)}",
            hint="pip install gcsfs" if scheme_of(url) == "gs" else 'pip install "endoseg-cli[ray]"',
        ) from error
    except Exception as error:  # every store and HTTP library has exceptions of its own
        raise _translate(error, url, purpose) from error


def _translate(error: Exception, url: str, purpose: Purpose) -> EndosegError:
    shown, status = without_secrets(url), _status(error)
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return OutputError(
            f"no room for {shown} in the folder of temporary files: {error.strerror}", hint="set TMPDIR to another disk"
        )
    if isinstance(error, PermissionError) or status in (401, 403) or any(word in _kinds(error) for word in _TELLING):
        answer = f"the server answered {status}" if status else "access is refused"
        hint = _CREDENTIALS.get(scheme_of(url), "check the address, and whether its signature has run out")
        return _error(purpose)(f"{shown} may not be {purpose}: {answer}", hint=hint)
    if isinstance(error, FileNotFoundError) and status in (None, 404, 410):
        if purpose == "written":
            bucket = "/".join(shown.split("/")[:3])
            return OutputError(f"there is no such bucket: {bucket}", hint="make it first, or check its name")
        return MissingInputError(f"no such file or folder: {shown}", hint="check the address")
    reason = f"the server answered {status}" if status else without_secrets(_first_line(error))
    kind = NetworkError if purpose == "read" else OutputError
    return kind(f"{shown} cannot be {purpose}: {reason}", hint="check the network, and try again")


def _error(purpose: Purpose) -> type[EndosegError]:
    return InputError if purpose == "read" else OutputError


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: Exception) -> int | None:
    """Return the HTTP status at the root of an error; fsspec calls many of them a missing file."""
    return next((int(found) for one in _chain(error) if isinstance(found := getattr(one, "status", None), int)), None)


def _kinds(error: Exception) -> str:
    return " ".join(f"{type(one).__name__} {one}" for one in _chain(error))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
