"""What endoseg asks of its own process: threads that wait asleep, freed memory that is kept, a start without garbage.

All are settings of the whole process, so that the command line makes them and a program that imports endoseg does not.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt."""
NEVER, LARGEST_IN_HEAP = -1, 1 << 30
ARENAS = 1
"""The heap that all threads share: what each of several would keep for itself adds up."""
VARIABLES = {
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_MMAP_THRESHOLD_": str(LARGEST_IN_HEAP),
    "MALLOC_ARENA_MAX": str(ARENAS),
}
"""The same as the environment says it, to processes that this one starts."""
_added: set[str] = set()
"""Variables of the environment that are endoseg's own."""


def prepare_process() -> None:
    """Let threads sleep while they wait and keep freed memory, unless the environment says otherwise.

    Threads that spin while they wait starve everything else on a busy machine: it halved the frame rate of `segment`.
    OpenMP reads its policy when torch is imported, which is later. And glibc gives the large pieces that tensors are
    made of back to the kernel each time one is freed, which must then clear them anew: a third of a training step,
    up to a fifth of `segment`'s time on a CPU.
    """
    _add({"OMP_WAIT_POLICY": "PASSIVE"})
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return
    mallopt(M_TRIM_THRESHOLD, NEVER)
    mallopt(M_MMAP_THRESHOLD, LARGEST_IN_HEAP)
    mallopt(M_ARENA_MAX, ARENAS)
    _add(VARIABLES)


@contextmanager
def starting() -> Iterator[Callable[[], None]]:
    """Keep Python from looking for garbage until the block ends, or until what it gives is called.

    While libraries and models are loaded nothing becomes garbage, and what is loaded stays: Python would look through
    it again and again, and once more at its end, for a quarter of a second in all.
    """

    was_on = gc.isenabled()

    def started() -> None:
        if was_on and not gc.isenabled():
            if not gc.get_freeze_count():  # once a process: what stays is not to be looked through any more
                gc.freeze()
            gc.enable()

    gc.disable()
    try:
        yield started
    finally:
        started()


def environment_before() -> dict[str, str]:
    """Return the environment without what `prepare_process` added, for a process that is not endoseg's."""
    return {name: value for name, value in os.environ.items() if name not in _added}


def _add(variables: Mapping[str, str]) -> None:
    new = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(new)
    _added.update(new)
