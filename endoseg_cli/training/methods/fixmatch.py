"""FixMatch: a sure label of the weak view teaches the strong view (Sohn et al., NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from endoseg_cli.training.methods.method import Method, Study, UnlabeledViews, confident_labels
from endoseg_cli.training.shared.distributed import Ranks
from endoseg_cli.training.strategies.objective import ObjectiveWeights, Pair, Targets, Term, guided_loss
from endoseg_cli.training.strategies.teacher import TeacherMaps


class FixMatch(Method):
    """L = mean over all pixels of 1[max(p, 1-p) >= 0.95] BCE(z(x_s), 1[p > 0.5]), p = the network's own on x_w."""

    summary: ClassVar[str] = "a network's own labels of the weak view, where at least 0.95 sure, teach its strong view"
    settings: ClassVar[Mapping[str, Any]] = {"min_confidence": 0.95, "reduction": "all"}
    options: ClassVar[frozenset[str]] = frozenset({"min_confidence", "reduction"})

    def targets(self, said: tuple[TeacherMaps, TeacherMaps], masks: Tensor) -> Targets:
        """Return each network's own labels, trusted where they are sure."""
        return Targets(masks=masks, pseudo=confident_labels(said, self.config.min_confidence))

    def unlabeled_studies(self, views: UnlabeledViews) -> list[Study]:
        """Return the strong views."""
        return [Study(view="strong", pictures=views.strong)]

    def own_terms(
        self, students: Pair, own: int, targets: Targets, weights: ObjectiveWeights, ranks: Ranks
    ) -> dict[str, Term]:
        """Return the weak-to-strong term."""
        logits = students[own].strong
        if logits is None or targets.pseudo is None:
            return {}
        loss = guided_loss(logits, targets.pseudo[own], weights.reduction, ranks)
        return {"strong": Term(value=loss, weight=weights.unsupervised)}
