from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from endoseg_cli.training.engine.prefetch import prefetched


def running() -> int:
    return sum(thread.name == "endoseg-prefetch" for thread in threading.enumerate())


def test_items_come_in_order_and_some_are_made_early() -> None:
    made: list[int] = []
    third = threading.Event()

    def count() -> Iterator[int]:
        for number in range(6):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    found = prefetched(count())
    assert next(found) == 0
    assert third.wait(10) and len(made) <= 4, "two wait in the queue, one in the thread's hand"
    assert list(found) == [1, 2, 3, 4, 5] and not running()


def test_an_error_is_raised_where_the_item_was_wanted() -> None:
    def fail() -> Iterator[int]:
        yield 1
        raise ValueError("no frame")

    found = prefetched(fail())
    assert next(found) == 1
    with pytest.raises(ValueError, match="no frame"):
        next(found)
    assert not running()


def test_a_reader_that_stops_early_ends_the_thread() -> None:
    found = prefetched(iter(range(1000)))
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert not running()
