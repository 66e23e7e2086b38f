"""The streams that the command line speaks on: whoever stops listening does not stop the work."""

from __future__ import annotations

import errno
import io
import sys
from typing import Any

from endoseg_cli.errors import OutputError


class _Results(io.FileIO):
    """stdout: writes to nobody once the reader is gone; raises OutputError once where it cannot be written."""

    _has_failed = False

    def write(self, data: Any) -> int:
        if memoryview(data).nbytes and not self._has_failed:  # typer writes nothing, to see what comes of it
            try:
                return super().write(data)
            except OSError as error:
                if _is_left(error):
                    return memoryview(data).nbytes
                self._has_failed = True
                message = f"cannot write to stdout: {error.strerror}"
                raise OutputError(message, hint="send it elsewhere; files that were asked for are written") from error
        return memoryview(data).nbytes


class _Messages(io.FileIO):
    """stderr: what cannot be written is lost, which no work must stop for."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _is_left(error: OSError) -> bool:
    """Whether nobody reads what is written to a pipe; Windows has another word for it."""
    return isinstance(error, BrokenPipeError) or (sys.platform == "win32" and error.errno == errno.EINVAL)


def outlive_readers() -> None:
    """Let the work go on where a pipe's reader has gone (`| head`, a pager that is left), or a log's disk is full.

    A full disk behind stdout, where results go, stays an error.
    """
    sys.stdout = _kept_up(sys.stdout, _Results)
    sys.stderr = _kept_up(sys.stderr, _Messages)


def _kept_up(stream: Any, kind: type[io.FileIO]) -> Any:
    # not what a notebook or a test has put there, nor a terminal: no pipe and no disk is behind them
    if not isinstance(stream, io.TextIOWrapper) or stream not in (sys.__stdout__, sys.__stderr__) or stream.isatty():
        return stream
    stream.flush()
    raw = kind(stream.fileno(), "w", closefd=False)
    is_unbuffered = isinstance(stream.buffer, io.RawIOBase)  # python -u
    return io.TextIOWrapper(
        raw if is_unbuffered else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
