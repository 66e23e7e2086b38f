"""Masks alone: what every other method is compared with."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from endoseg_cli.training.methods.method import Method, MethodSettings
from endoseg_cli.training.strategies.objective import Targets
from endoseg_cli.training.strategies.teacher import TeacherMaps


class Supervised(Method):
    """Two networks that learn from the masks, each by itself; unlabelled frames count for the length of an epoch."""

    summary: ClassVar[str] = "masks alone"

    @classmethod
    def uses_unlabeled(cls, config: MethodSettings) -> bool:
        """Return False."""
        return False

    def targets(self, said: tuple[TeacherMaps, TeacherMaps], masks: Tensor) -> Targets:
        """Return the masks."""
        return Targets(masks=masks)
