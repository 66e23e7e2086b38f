"""Processes that read frames are ended where a run fails, whatever else is killed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from endoseg_cli.training.engine.feed import _read


class Readers(Iterator[int]):
    """Two batches, then an error; ending fails too, as another process was killed."""

    def __init__(self) -> None:
        self.given = 0
        self.ended: list[str] = []

    def __next__(self) -> int:
        self.given += 1
        if self.given > 2:
            raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed.")
        return self.given

    def _shutdown_workers(self) -> None:
        self.ended.append("once")
        raise RuntimeError("DataLoader worker (pid 2) is killed by signal: Killed.")


def test_the_first_error_is_the_one_that_is_heard() -> None:
    readers = Readers()
    batches: Any = _read(cast(Any, readers))
    assert [next(batches), next(batches)] == [1, 2]
    with pytest.raises(RuntimeError, match="pid 1"):
        next(batches)
    assert readers.ended == ["once"]


def test_readers_end_with_a_run_that_fails_elsewhere() -> None:
    readers = Readers()
    batches: Any = _read(cast(Any, readers))
    next(batches)
    del batches
    assert readers.ended == ["once"]
