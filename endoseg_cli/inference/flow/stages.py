"""Read, predict, refine and write at the same time: four stages, bounded queues, and no way to hang."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Passed = TypeVar("Passed")
MOST_WAITING_BYTES = 32 << 20
"""What may wait before the networks and before the writer, each."""
MOST_BATCH_BYTES = 64 << 20
"""What the frames of a batch may hold at full size: of 4K with all products, a batch is a single frame."""
_POLL_SECONDS = 0.05


@dataclass(kw_only=True)
class StageSeconds:
    """Seconds that each stage was busy; they overlap, so they may add up to more than the whole took."""

    read: float = 0.0
    """Decoding and conversion."""
    predict: float = 0.0
    """The networks."""
    refine: float = 0.0
    """The corrective network, where it works in a thread of its own."""
    write: float = 0.0
    """Masks, overlays, encoding."""


class _End:
    """Marks the end of a stream in a queue."""


class Stages(Generic[Item, Result]):
    """Runs `source` in one thread, `predict` in the calling one, and `write` in a third; `refine` in one between.

    `source` is iterated by the reading thread alone, inside `reading` where a resource must be closed there; `predict`
    turns a batch of items into results; `refine`, if there is one, takes what `predict` gives of a batch. The last of
    both may hold some back until later items have come, or until `flush` asks it for them after the last one; `write`
    takes one result at a time, in order. The first error of any stage stops all and is raised in the calling thread,
    as is Ctrl-C; by then the other threads have ended.
    """

    def __init__(
        self,
        source: Iterable[Item],
        predict: Callable[[Sequence[Item]], Sequence[Any]],
        write: Callable[[Result], None],
        *,
        refine: Callable[[Sequence[Any]], Sequence[Result]] | None = None,
        batch_size: int,
        item_bytes: int = 0,
        flush: Callable[[], Sequence[Result]] = tuple,
        reading: AbstractContextManager[object] | None = None,
    ) -> None:
        self.seconds = StageSeconds()
        self._source, self._predict, self._flush, self._write = source, predict, flush, write
        self._refine = refine
        self._reading = reading or nullcontext()
        self._batch_size = min(batch_size, max(MOST_BATCH_BYTES // item_bytes, 1)) if item_bytes else batch_size
        waiting = min(2 * batch_size, max(MOST_WAITING_BYTES // item_bytes, 1)) if item_bytes else 2 * batch_size
        self._items: queue.Queue[Item | _End] = queue.Queue(maxsize=waiting)
        self._predicted: queue.Queue[Sequence[Any] | _End] = queue.Queue(maxsize=1)
        self._results: queue.Queue[Result | _End] = queue.Queue(maxsize=waiting)
        self._stop = threading.Event()
        self._errors: list[BaseException] = []

    def run(self) -> None:
        """Run to the end of the source; raises the first error of any stage."""
        works = {"read": self._read_all, "write": self._write_all}
        if self._refine is not None:
            works["refine"] = partial(self._refine_all, self._refine)
        threads = [
            threading.Thread(target=self._guard, args=(work,), name=f"endoseg-{name}", daemon=True)
            for name, work in works.items()
        ]
        for thread in threads:
            thread.start()
        try:
            self._predict_all()
            # join() alone would keep Ctrl-C waiting until the last frame is encoded
            while alive := [thread for thread in threads if thread.is_alive()]:
                alive[0].join(_POLL_SECONDS)
        except BaseException as error:
            self._errors.append(error)
        finally:
            if self._errors:
                self._stop.set()
            for thread in threads:
                thread.join()
        if self._errors:
            raise self._errors[0]

    def _read_all(self) -> None:
        with self._reading:
            source = iter(self._source)
            while not self._stop.is_set():
                item = self._timed("read", lambda: next(source, _END))
                if not self._put(self._items, item) or isinstance(item, _End):
                    return

    def _predict_all(self) -> None:
        ended = False
        while not ended and not self._stop.is_set():
            batch: list[Item] = []
            while len(batch) < self._batch_size and not ended:
                item = self._get(self._items)
                if isinstance(item, _End):
                    ended = True
                else:
                    batch.append(item)
            if batch and not self._stop.is_set():
                results = self._timed("predict", partial(self._predict, batch))
                if self._refine is None:
                    self._put_all(results)
                else:
                    self._put(self._predicted, results)
        if self._refine is not None:
            self._put(self._predicted, _END)
        else:
            self._end("predict")

    def _refine_all(self, refine: Callable[[Sequence[Any]], Sequence[Result]]) -> None:
        while not isinstance(batch := self._get(self._predicted), _End):
            self._put_all(self._timed("refine", partial(refine, batch)))
        self._end("refine")

    def _end(self, stage: str) -> None:
        """Ask for what was held back, and end the writer's queue."""
        if not self._stop.is_set():
            self._put_all(self._timed(stage, self._flush))
        self._put(self._results, _END)

    def _timed(self, stage: str, work: Callable[[], Passed]) -> Passed:
        began = time.perf_counter()
        results = work()
        setattr(self.seconds, stage, getattr(self.seconds, stage) + time.perf_counter() - began)
        return results

    def _put_all(self, results: Sequence[Result]) -> None:
        for result in results:
            self._put(self._results, result)

    def _write_all(self) -> None:
        while not isinstance(result := self._get(self._results), _End):
            self._timed("write", partial(self._write, result))

    def _guard(self, work: Callable[[], None]) -> None:
        """Hand a thread's error to the calling thread and stop the others."""
        try:
            work()
        except BaseException as error:
            self._errors.append(error)
            self._stop.set()

    def _put(self, target: queue.Queue[Passed | _End], value: Passed | _End) -> bool:
        """Put a value as soon as there is room; return False if the stages were stopped before."""
        while not self._stop.is_set():
            try:
                target.put(value, timeout=_POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def _get(self, source: queue.Queue[Passed | _End]) -> Passed | _End:
        """Return the next value, or the end mark if the stages were stopped."""
        while not self._stop.is_set():
            try:
                return source.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
        return _END


_END = _End()
