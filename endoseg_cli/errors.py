"""Every error that endoseg raises for its user: a message, a hint, and the exit code the command line gives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class EndosegError(Exception):
    """Something the user can act on; `message` says what was expected, found and where, `hint` what to do.

    Of several faults the message says how many there are, and `details` tells them one by one.

    The command line prints `message` and `hint` on stderr and exits with `exit_code`; library callers can catch
    these classes or the builtin that each of them also is.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)

    def __str__(self) -> str:
        told = "\n".join([self.message, *(f"  {detail}" for detail in self.details)])
        return f"{told}\n\nhint: {self.hint}" if self.hint else told


class UsageError(EndosegError, ValueError):
    """An option or a setting is wrong, out of range, or contradicts another one."""

    exit_code = 2


class InputError(EndosegError, ValueError):
    """An input file cannot be read, or is not what it should be."""

    exit_code = 3


class MissingInputError(EndosegError, FileNotFoundError):
    """An input path does not exist, or matches nothing."""

    exit_code = 3


class OutputError(EndosegError, OSError):
    """An output cannot be written or encoded, or exists already."""

    exit_code = 4


class WeightsError(EndosegError, ValueError):
    """A model file is missing, damaged, of another version, or does not fit."""

    exit_code = 5


class DeviceError(EndosegError, RuntimeError):
    """The device asked for is not there, or its memory does not suffice."""

    exit_code = 6


class TrainingError(EndosegError, RuntimeError):
    """Training cannot go on, for example because the loss is no longer finite."""

    exit_code = 1


class InternalError(EndosegError, RuntimeError):
    """A fault in endoseg itself."""

    exit_code = 1


DEBUG_VARIABLE = "ENDOSEG_DEBUG"
"""Environment variable that lets errors out with their traceback."""


_OUT_OF_MEMORY = ("Insufficient memory", "can't allocate memory", "not enough memory")
"""How OpenCV and PyTorch say that memory does not suffice, in exceptions of their own."""


def folded(error: Exception) -> str:
    """Return what a library's error says, on one line."""
    return " ".join(str(error).split())


def explain(error: Exception) -> EndosegError:
    """Return an error as its user can act on it: their own, the system's about a file, or a fault in endoseg."""
    if isinstance(error, EndosegError):
        return error
    if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
        return DeviceError("the memory of this machine does not suffice", hint="close other programs, or work on less")
    if isinstance(error, OSError) and error.filename is not None:
        name = error.filename if isinstance(error.filename, str) else str(error.filename)
        return OutputError(f"{name}: {error.strerror or error}", hint="check the name, the permissions and the disk")
    if isinstance(error, UnicodeEncodeError):
        return UsageError(f"a name is not UTF-8: {ascii(error.object)[1:-1][:200]}", hint="rename the file")
    if isinstance(error, ValueError) and "null byte" in str(error):
        return UsageError(f"a name cannot be used: {error}", hint="rename the file, or check what wrote its name")
    return InternalError(
        f"internal error: {type(error).__name__}: {folded(error)}",
        hint=f"this is a fault in endoseg; run again with {DEBUG_VARIABLE}=1 and report the traceback",
    )


DAMAGED_EXIT_CODE = 7
"""The job finished, but part of the input was damaged or some inputs of a batch failed."""
INTERRUPTED_EXIT_CODE = 130
"""The user pressed Ctrl-C."""
TERMINATED_EXIT_CODE = 143
"""The process was asked to end (SIGTERM)."""
