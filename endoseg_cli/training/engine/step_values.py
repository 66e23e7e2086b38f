"""The values of a step, which stay on the device until they are asked for, so that no step waits for its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor


class StepValues(Mapping[str, float]):
    """Named scalars; the first look at one waits for the device, making and passing them on does not."""

    def __init__(self, names: Sequence[str], values: Tensor) -> None:
        """`values` (names,) in the names' order."""
        self._names = tuple(names)
        self._numbers: dict[str, float] | None = None
        self._copied: torch.cuda.Event | None = None
        self._values = values
        if values.is_cuda:
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()

    def __getitem__(self, name: str) -> float:
        if self._numbers is None:
            if self._copied is not None:
                self._copied.synchronize()  # for the copy alone, not for what was begun after it
            self._numbers = dict(zip(self._names, self._values.tolist(), strict=True))
        return self._numbers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
