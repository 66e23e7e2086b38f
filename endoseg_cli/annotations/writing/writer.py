"""What the writers of all formats share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from endoseg_cli.annotations.shapes.rings import Ring
from endoseg_cli.annotations.writing.regions import AnnotatedFrame
from endoseg_cli.part_file import FinishOrAbort


class AnnotationWriter(FinishOrAbort):
    """Writes frames as they come; a context manager that finishes, or on an error leaves whole `.part` files."""

    @abstractmethod
    def write(self, frame: AnnotatedFrame) -> None:
        """Append a frame; raises OutputError."""


def rounded_points(ring: Ring) -> Sequence[Sequence[float]]:
    """Return a ring as plain [x, y] pairs; hundredths of a pixel are more than anyone needs."""
    pairs: list[list[float]] = ring.round(2).tolist()
    return pairs
