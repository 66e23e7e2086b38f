"""UniMatch: FixMatch with two strong views, and a weak view whose features are disturbed (Yang et al., CVPR 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor

from endoseg_cli.training.methods.method import Method, Study, Views, confident_label
from endoseg_cli.training.shared.distributed import Ranks
from endoseg_cli.training.strategies.objective import ObjectiveWeights, Pair, Targets, Term, guided_loss
from endoseg_cli.training.strategies.teacher import TeacherMaps

FEATURE_DROPOUT = 0.5
"""Share of the encoder's channels that the disturbed view loses, as published."""
SHARES = {"strong": 0.25, "strong_2": 0.25, "perturbed": 0.5}
"""What each of the three students counts, as published."""


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
        first, second = (confident_label(one, confidence) for one in said)
        others = tuple(confident_label(one, confidence, one.other_passes) for one in said)
        return replace(Targets(masks=masks, pseudo=(first, second)), other_pseudo=(others[0], others[1]))

    def studies(self, views: Views, weights: ObjectiveWeights) -> list[Study]:
        """Return the labelled frames, both strong views, and the weak view with disturbed features."""
        studies = [Study(view="labeled", pictures=views.labeled)]
        if weights.unsupervised:
            studies.append(Study(view="strong", pictures=views.strong))
            studies.append(Study(view="strong_2", pictures=views.other_strong))
            studies.append(Study(view="perturbed", pictures=views.weak, feature_dropout=FEATURE_DROPOUT))
        return studies

    def own_terms(
        self, students: Pair, own: int, targets: Targets, weights: ObjectiveWeights, ranks: Ranks
    ) -> dict[str, Term]:
        """Return the terms of the students that are there."""
        if targets.pseudo is None or targets.other_pseudo is None:
            return {}
        student, first, second = students[own], targets.pseudo[own], targets.other_pseudo[own]
        taught = {
            "strong": (student.strong, first),
            "strong_2": (student.strong_2, second),
            "perturbed": (student.perturbed, first),
        }
        return {
            _NAMES[view]: Term(
                value=guided_loss(logits, label, weights.reduction, ranks), weight=weights.unsupervised * SHARES[view]
            )
            for view, (logits, label) in taught.items()
            if logits is not None
        }


_NAMES = {"strong": "strong", "strong_2": "other_strong", "perturbed": "perturbed"}
