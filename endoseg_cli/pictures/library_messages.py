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
    it is: only C's variable of that name is another stream meanwhile, which hands on whatever is not for anyone here.
    At all other times it is C's own: what calls Python must not be called by those who print amid an error of Python's.
    """
    said: list[str] | None = None if _ear is None else []
    before, _listener.said = _listener.said, said
    if _ear is not None:
        _ear.open()
    try:
        yield said
    finally:
        _listener.said = before
        if _ear is not None:
            _ear.close()


def _write(_: int | None, letters: int, length: int) -> int:
    text = ctypes.string_at(letters, length)
    if _listener.said is not None:
        _listener.said.append(text.decode(errors="replace").strip())
    elif not text.startswith(_OF_DECODERS):
        with suppress(OSError):
            os.write(2, text)
    return length


_written = _Write(_write)  # kept for as long as the stream that calls it


class _Ear:
    """C's variable `stderr`, which points to a stream that calls `_written` while anyone listens."""

    def __init__(self, variable: ctypes.c_void_p, stream: int) -> None:
        self._variable, self._stream = variable, stream
        self._own = variable.value
        self._lock, self._listeners = threading.Lock(), 0
        os.register_at_fork(after_in_child=self.forget)
        atexit.register(self.forget)  # nothing may call Python once it has ended

    def open(self) -> None:
        """Listen; as often as `close` is called."""
        with self._lock:
            if not self._listeners:
                self._own = self._variable.value
                self._variable.value = self._stream
            self._listeners += 1

    def close(self) -> None:
        """Give C its own stream back when nobody listens any more."""
        with self._lock:
            self._listeners = max(self._listeners - 1, 0)  # after a fork there may be none left
            if not self._listeners:
                self._variable.value = self._own

    def forget(self) -> None:
        """Listen for nobody: threads that did are not there in a forked process."""
        self._lock, self._listeners = threading.Lock(), 0
        self._variable.value = self._own


def _make_ear() -> _Ear | None:
    """Return C's `stderr` on Linux with glibc, else None."""
    if platform.libc_ver()[0] != "glibc":
        return None
    libc = ctypes.CDLL(None)
    libc.fopencookie.restype = ctypes.c_void_p
    libc.fopencookie.argtypes = (ctypes.c_void_p, ctypes.c_char_p, _CookieFunctions)
    libc.setvbuf.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t)
    libc.__fsetlocking.argtypes = (ctypes.c_void_p, ctypes.c_int)
    stream: int | None = libc.fopencookie(None, b"w", _CookieFunctions(None, _written, None, None))
    if not stream:
        return None
    libc.setvbuf(stream, None, _UNBUFFERED, 0)
    # A thread must not keep others from the stream while it waits for Python's lock.
    libc.__fsetlocking(stream, _LOCKED_BY_CALLER)
    return _Ear(ctypes.c_void_p.in_dll(libc, "stderr"), stream)


_ear = _make_ear()
