"""What the tests of the methods share: a learner of one method, and teachers' and students' outputs made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from endoseg_cli.training.engine.learner import Learner
from endoseg_cli.training.methods.table import method_settings
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.strategies.objective import ObjectiveWeights, StudentOutputs
from endoseg_cli.training.strategies.teacher import TeacherMaps
from tests.training.small import CONFIG

ON = ObjectiveWeights(unsupervised=1.0)
MASKS = torch.zeros(1, 1, 1, 4)


def config_of(method: str, **settings: Any) -> TrainConfig:
    """Return the small config with a method and its own settings."""
    return replace(CONFIG, **{**method_settings(method), **settings})


def learner_of(method: str, **settings: Any) -> Learner:
    """Return a small learner of a method on the CPU."""
    return Learner(config_of(method, **settings), device=torch.device("cpu"))


def said(*probabilities: float, others: tuple[float, ...] | None = None) -> TeacherMaps:
    """Return a teacher's one pass over a frame of 1 x 4 pixels."""

    def passes(values: tuple[float, ...]) -> Tensor:
        return torch.tensor(values).view(1, 1, 1, 1, -1)

    return TeacherMaps(
        passes=passes(probabilities),
        labeled=MASKS,
        other_passes=None if others is None else passes(others),
    )


def student(view: str) -> StudentOutputs:
    """Return a student's undecided logits of one view, which collect a gradient."""
    return StudentOutputs(**{view: torch.zeros(1, 1, 1, 4, requires_grad=True)})


def pulls(learner: Learner, view: str, teachers: tuple[TeacherMaps, TeacherMaps]) -> list[list[int]]:
    """Return where each network's logits of a view are pulled to, pixel by pixel: 1 up, -1 down, 0 nowhere."""
    students = (student(view), student(view))
    terms = learner.method.terms(students, learner.targets(teachers, MASKS), ON)
    torch.stack([term.weight * term.value for term in terms.values()]).sum().backward()  # type: ignore[no-untyped-call]
    return [(-getattr(one, view).grad.sign()).int().flatten().tolist() for one in students]
