from __future__ import annotations

import pytest
import torch
from torch import Tensor

from endoseg_cli.training.engine.step_values import StepValues


def test_values_are_read_from_the_device_when_they_are_looked_at_and_once() -> None:
    reads: list[int] = []

    class Counting(Tensor):
        def tolist(self) -> list[float]:
            reads.append(1)
            return super().tolist()

    values = StepValues(["a", "b"], torch.tensor([1.0, 2.0]).as_subclass(Counting))
    assert list(values) == ["a", "b"] and len(values) == 2 and not reads
    assert values["b"] == 2.0 and dict(values) == {"a": 1.0, "b": 2.0} and len(reads) == 1
    with pytest.raises(KeyError):
        values["c"]
