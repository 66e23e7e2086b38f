"""Mean Teacher: a network agrees with its own exponential average (Tarvainen and Valpola, NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from endoseg_cli.training.methods.method import Method, Study, Teaching, UnlabeledViews, confident_labels
from endoseg_cli.training.shared.distributed import Ranks
from endoseg_cli.training.shared.precision import at_least_float32
from endoseg_cli.training.strategies.objective import ObjectiveWeights, Pair, Targets, Term
from endoseg_cli.training.strategies.teacher import TeacherMaps


class MeanTeacher(Method):
    """L = mean squared difference of sigmoid(z(x_s)) and the average's probability on x_w; the average is kept.

    Both see noise: the average a stochastic pass over the weak view, the network dropout and the strong view.
    """

    summary: ClassVar[str] = "a network's strong view agrees in probability with its own average on the weak view"
    settings: ClassVar[Mapping[str, Any]] = {"ema": 0.99}
    teaching: ClassVar[Teaching] = "averages"

    @property
    def num_passes(self) -> int:
        """One stochastic pass."""
        return 1

    def targets(self, said: tuple[TeacherMaps, TeacherMaps], masks: Tensor) -> Targets:
        """Return what each network's average says; every pixel counts."""
        return Targets(masks=masks, pseudo=confident_labels(said, 0.0))

    def unlabeled_studies(self, views: UnlabeledViews) -> list[Study]:
        """Return the strong views."""
        return [Study(view="strong", pictures=views.strong)]

    def own_terms(
        self, students: Pair, own: int, targets: Targets, weights: ObjectiveWeights, ranks: Ranks
    ) -> dict[str, Term]:
        """Return the consistency of a network with its average."""
        logits = students[own].strong
        if logits is None or targets.pseudo is None:
            return {}
        probability = torch.sigmoid(at_least_float32(logits))
        loss = functional.mse_loss(probability, targets.pseudo[own].probability.to(probability.dtype))
        return {"consistency": Term(value=loss, weight=weights.unsupervised)}
