"""Read ahead in a thread, so that a GPU does not wait while frames are augmented in the training process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")
AHEAD = 2
"""Items that are made before they are asked for."""
_POLL_SECONDS = 0.1


def prefetched(items: Iterator[Item], ahead: int = AHEAD) -> Iterator[Item]:
    """Yield what `items` yields, in order, made by a thread at most `ahead` early; its errors are raised here.

    The thread ends when the iterator returned here is closed or dropped.
    """
    made: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(ahead)
    stopped = threading.Event()

    def put(entry: tuple[Item] | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                return made.put(entry, timeout=_POLL_SECONDS)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put((item,))
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, daemon=True, name="endoseg-prefetch")
    thread.start()
    try:
        while (entry := made.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        stopped.set()
        thread.join()
