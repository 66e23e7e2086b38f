"""What the writers of all formats share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from endoseg_cli.annotations.regions import AnnotatedFrame
from endoseg_cli.annotations.rings import Ring


class AnnotationWriter(ABC):
    """Writes frames as they come; a context manager that finishes, or on an error leaves whole `.part` files."""

    @abstractmethod
    def write(self, frame: AnnotatedFrame) -> None:
        """Append a frame; raises OutputError."""

    @abstractmethod
    def finish(self) -> None:
        """Complete what was written and give it its final name."""

    @abstractmethod
    def abort(self) -> None:
        """Complete what was written so that it can be read, and leave it under its temporary name."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.abort()


def rounded_points(ring: Ring) -> Sequence[Sequence[float]]:
    """Return a ring as plain [x, y] pairs; hundredths of a pixel are more than anyone needs."""
    pairs: list[list[float]] = ring.round(2).tolist()
    return pairs
