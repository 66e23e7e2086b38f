"""UniMatch: FixMatch with two strong views, and a weak view whose features are disturbed (Yang et al., CVPR 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from endoseg_cli.training.methods.method import Method, Study, UnlabeledViews, confident_label, confident_labels
from endoseg_cli.training.shared.distributed import Ranks
from endoseg_cli.training.strategies.objective import ObjectiveWeights, Pair, Targets, Term, guided_loss
from endoseg_cli.training.strategies.teacher import TeacherMaps

FEATURE_DROPOUT = 0.5
"""Share of the encoder's channels that the disturbed view loses, as published."""
STRONG_SHARE, PERTURBED_SHARE = 0.25, 0.5
"""What each strong view and the disturbed weak view count, as published."""


class UniMatch(Method):
    """L = 0.25 (L_s1 + L_s2) + 0.5 L_fp, each FixMatch's loss, from the labels of the undisturbed weak view.

    The two strong views are those that this trainer draws: each of a weak view of its own, with the other in the box.
    """

    summary: ClassVar[str] = "FixMatch with two strong views, and the weak view with half of its features dropped"
    settings: ClassVar[Mapping[str, Any]] = {"min_confidence": 0.95, "reduction": "all"}
    options: ClassVar[frozenset[str]] = frozenset({"min_confidence", "reduction"})
    passes_over_both: ClassVar[bool] = True

    def targets(self, said: tuple[TeacherMaps, TeacherMaps], masks: Tensor) -> Targets:
        """Return each network's own sure labels of both weak views."""
        confidence = self.config.min_confidence
        first, second = (confident_label(one, confidence, one.other_passes) for one in said)
        return Targets(masks=masks, pseudo=confident_labels(said, confidence), other_pseudo=(first, second))

    def unlabeled_studies(self, views: UnlabeledViews) -> list[Study]:
        """Return both strong views, and the weak view with disturbed features."""
        return [
            Study(view="strong", pictures=views.strong),
            Study(view="strong_2", pictures=views.other_strong),
            Study(view="perturbed", pictures=views.weak, feature_dropout=FEATURE_DROPOUT),
        ]

    def own_terms(
        self, students: Pair, own: int, targets: Targets, weights: ObjectiveWeights, ranks: Ranks
    ) -> dict[str, Term]:
        """Return the terms of the students that are there."""
        if targets.pseudo is None or targets.other_pseudo is None:
            return {}
        student, first, second = students[own], targets.pseudo[own], targets.other_pseudo[own]
        taught = (
            ("strong", STRONG_SHARE, student.strong, first),
            ("other_strong", STRONG_SHARE, student.strong_2, second),
            ("perturbed", PERTURBED_SHARE, student.perturbed, first),
        )
        return {
            name: Term(value=guided_loss(logits, label, weights.reduction, ranks), weight=weights.unsupervised * share)
            for name, share, logits, label in taught
            if logits is not None
        }
