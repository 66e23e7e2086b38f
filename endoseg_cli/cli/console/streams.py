"""The streams that the command line speaks on: whoever stops listening does not stop the work."""

from __future__ import annotations

import io
import sys
from typing import Any

from endoseg_cli.errors import OutputError


class _Unheard(io.FileIO):
    """Writes to a file, and to nobody once its reader is gone; raises OutputError once where it cannot be written."""

    _has_failed = False

    def write(self, data: Any) -> int:
        if not self._has_failed:
            try:
                return super().write(data)
            except BrokenPipeError:
                pass
            except OSError as error:
                self._has_failed = True
                stream = {1: "stdout", 2: "stderr"}.get(self.fileno(), "a stream")
                raise OutputError(f"cannot write to {stream}: {error.strerror}", hint="send it elsewhere") from error
        return memoryview(data).nbytes


def outlive_readers() -> None:
    """Let stdout and stderr go on where a pipe's reader has gone (`| head`, a closed window): hours of work must not.

    Whatever else is wrong with them, such as a full disk, stays an error.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # not what a notebook or a test has put there, nor a terminal: no pipe is behind them
        if isinstance(stream, io.TextIOWrapper) and stream in (sys.__stdout__, sys.__stderr__) and not stream.isatty():
            stream.flush()
            setattr(sys, name, _outliving(stream))


def _outliving(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(_Unheard(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
