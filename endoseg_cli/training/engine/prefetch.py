"""Read ahead in a thread, so that a GPU does not wait while frames are augmented in the training process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")
AHEAD = 2
"""Items that are made before they are asked for."""


def prefetched(items: Iterator[Item], ahead: int = AHEAD) -> Iterator[Item]:
    """Yield what `items` yields, in order, made by a thread at most `ahead` early; its errors are raised here.

    The thread ends when the iterator returned here is closed or dropped.
    """
    made: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(ahead)
    stopped = threading.Event()

    def work() -> None:
        try:
            for item in items:
                made.put((item,))
                if stopped.is_set():
                    return
            made.put(None)
        except BaseException as error:
            made.put(error)

    thread = threading.Thread(target=work, daemon=True, name="endoseg-prefetch")
    thread.start()
    try:
        while (entry := made.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        stopped.set()
        while not made.empty():  # room for what the thread is about to put: it looks at `stopped` after that
            made.get()
        thread.join()
