"""What the libraries underneath OpenCV say on C's own stderr, heard by the thread that made them say it."""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_OF_DECODERS = (b"Corrupt JPEG data", b"Premature end of JPEG", b"Inconsistent progression", b"libpng ")
_UNBUFFERED, _LOCKED_BY_CALLER = 2, 2  # _IONBF of stdio.h, FSETLOCKING_BYCALLER of stdio_ext.h

_Write = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class _CookieFunctions(ctypes.Structure):
    """glibc's cookie_io_functions_t."""

    _fields_ = (
        ("read", ctypes.c_void_p),
        ("write", _Write),
        ("seek", ctypes.c_void_p),
        ("close", ctypes.c_void_p),
    )


class _Listener(threading.local):
    said: list[str] | None = None


_listener = _Listener()


@contextmanager
def overheard() -> Iterator[list[str] | None]:
    """Give a list that gets what libraries say in this thread meanwhile; None where they cannot be heard.

    libjpeg and libpng print warnings and errors, which OpenCV does not pass on. The process's stderr itself stays as
    it is: only C's variable of that name is another stream, which hands on whatever is not for anyone here.
    """
    said: list[str] | None = [] if _HEARS else None
    _listener.said = said
    try:
        yield said
    finally:
        _listener.said = None


def _write(_: int | None, letters: int, length: int) -> int:
    text = ctypes.string_at(letters, length)
    if _listener.said is not None:
        _listener.said.append(text.decode(errors="replace").strip())
    elif not text.startswith(_OF_DECODERS):
        with suppress(OSError):
            os.write(2, text)
    return length


_written = _Write(_write)  # kept for as long as the stream that calls it


def _hear() -> bool:
    """Point C's `stderr` to a stream that calls `_written`; False on systems other than Linux with glibc."""
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    libc.fopencookie.restype = ctypes.c_void_p
    libc.fopencookie.argtypes = (ctypes.c_void_p, ctypes.c_char_p, _CookieFunctions)
    libc.setvbuf.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t)
    libc.__fsetlocking.argtypes = (ctypes.c_void_p, ctypes.c_int)
    stream = libc.fopencookie(None, b"w", _CookieFunctions(None, _written, None, None))
    if not stream:
        return False
    libc.setvbuf(stream, None, _UNBUFFERED, 0)
    # A thread must not keep others from the stream while it waits for Python's lock.
    libc.__fsetlocking(stream, _LOCKED_BY_CALLER)
    stderr = ctypes.c_void_p.in_dll(libc, "stderr")
    before = stderr.value
    stderr.value = stream

    def restore() -> None:
        """Let nothing call Python once it has ended."""
        stderr.value = before

    atexit.register(restore)
    return True


_HEARS = _hear()
