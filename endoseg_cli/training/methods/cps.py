"""Cross pseudo-supervision: each network's hard labels teach the other (Chen et al., CVPR 2021)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from endoseg_cli.training.methods.method import Method, Study, UnlabeledViews, confident_labels
from endoseg_cli.training.shared.distributed import Ranks
from endoseg_cli.training.strategies.objective import ObjectiveWeights, Pair, Targets, Term, guided_loss
from endoseg_cli.training.strategies.teacher import TeacherMaps


class CrossPseudoSupervision(Method):
    """L(i) = BCE(z_i(x_w), 1[p_other > 0.5]) over all pixels of the weak views, one stochastic pass of the other."""

    summary: ClassVar[str] = "each network learns the other's labels of the weak views, all pixels of them"

    @property
    def num_passes(self) -> int:
        """One stochastic pass."""
        return 1

    def targets(self, said: tuple[TeacherMaps, TeacherMaps], masks: Tensor) -> Targets:
        """Return the labels of both networks, trusted everywhere."""
        return Targets(masks=masks, pseudo=confident_labels(said, 0.0))

    def unlabeled_studies(self, views: UnlabeledViews) -> list[Study]:
        """Return the weak views."""
        return [Study(view="weak", pictures=views.weak)]

    def own_terms(
        self, students: Pair, own: int, targets: Targets, weights: ObjectiveWeights, ranks: Ranks
    ) -> dict[str, Term]:
        """Return cross-supervision by the other network."""
        logits = students[own].weak
        if logits is None or targets.pseudo is None:
            return {}
        loss = guided_loss(logits, targets.pseudo[1 - own], weights.reduction, ranks)
        return {"cross": Term(value=loss, weight=weights.unsupervised)}
