"""Endo-SemiS (Li et al., MIDL 2026): cross-supervision, uncertainty, joint pseudo-label, mutual learning."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from endoseg_cli.training.methods.method import Method, MethodSettings, Study, UnlabeledViews
from endoseg_cli.training.shared.distributed import ALONE, Ranks
from endoseg_cli.training.strategies.objective import ObjectiveWeights, Pair, Targets, Term, guided_loss, mutual_terms
from endoseg_cli.training.strategies.pseudo_labels import (
    PseudoLabel,
    joint_pseudo_label,
    masked_bce,
    pseudo_label_from_passes,
    trusted_by,
)
from endoseg_cli.training.strategies.teacher import TeacherMaps
from endoseg_cli.training.strategies.uncertainty import ThresholdRule, entropy_of_both


class EndoSemiS(Method):
    """The paper's objective, with a switch for each strategy (see `objective`, and the settings for what is mended)."""

    summary: ClassVar[str] = "cross-supervision where certain, a joint label for strong views, mutual learning"
    options: ClassVar[frozenset[str]] = frozenset(
        {
            "cross_supervision",
            "joint_pseudo_label",
            "labeled_cross",
            "mutual_learning",
            "uncertainty_guidance",
            "num_passes",
            "threshold_scope",
            "certainty",
            "min_confidence",
            "reduction",
            "mutual_weight",
            "logit_weight",
        }
    )

    @classmethod
    def uses_unlabeled(cls, config: MethodSettings) -> bool:
        """Return whether any strategy is on in which the networks teach each other."""
        return config.unsupervised_weight > 0 and (
            config.cross_supervision or config.joint_pseudo_label or config.labeled_cross
        )

    @property
    def num_passes(self) -> int:
        """K."""
        return self.config.num_passes

    def targets(self, said: tuple[TeacherMaps, TeacherMaps], masks: Tensor) -> Targets:
        """Return masks, pseudo-labels, joint pseudo-label, and pseudo-labels of labelled frames."""
        config = self.config
        rule = ThresholdRule(scope=config.threshold_scope, min_confidence=config.min_confidence)
        first, second = (pseudo_label_from_passes(one.passes, rule) for one in said)
        labels = [first, second]
        if config.joint_pseudo_label:
            labels.append(joint_pseudo_label(first, second, rule))
        if config.certainty == "both":
            uncertainty = entropy_of_both(said[0].passes, said[1].passes)
            labels = [trusted_by(label, uncertainty, rule) for label in labels]
        if not config.uncertainty_guidance:
            labels = [replace(label, certain=torch.ones_like(label.certain)) for label in labels]
        return Targets(
            masks=masks,
            labeled=(said[0].labeled > 0.5, said[1].labeled > 0.5) if config.labeled_cross else None,
            pseudo=(labels[0], labels[1]),
            joint=labels[2] if config.joint_pseudo_label else None,
        )

    def unlabeled_studies(self, views: UnlabeledViews) -> list[Study]:
        """Return the weak views and the strong views, as far as they teach."""
        studies = []
        if self.config.cross_supervision:
            studies.append(Study(view="weak", pictures=views.weak))
        if self.config.joint_pseudo_label:
            studies.append(Study(view="strong", pictures=views.strong))
        return studies

    def terms(
        self, students: Pair, targets: Targets, weights: ObjectiveWeights, ranks: Ranks = ALONE
    ) -> dict[str, Term]:
        """Return L(1) + L(2), and mutual learning where features are there (Endo-SemiS, objective)."""
        terms = super().terms(students, targets, weights, ranks)
        if weights.mutual and students[0].bottleneck is not None:
            terms |= mutual_terms(students, weights, ranks)
        return terms

    def own_terms(
        self, students: Pair, own: int, targets: Targets, weights: ObjectiveWeights, ranks: Ranks
    ) -> dict[str, Term]:
        """Return cross-supervision on unlabelled frames, the joint label, and cross-supervision on labelled frames."""
        student, found = students[own], dict[str, Tensor]()
        taught: dict[str, tuple[Tensor | None, PseudoLabel | None]] = {
            "cross": (student.weak, None if targets.pseudo is None else targets.pseudo[1 - own]),
            "joint": (student.strong, targets.joint),
        }
        for name, (logits, label) in taught.items():
            if logits is not None and label is not None:
                found[name] = guided_loss(logits, label, weights.reduction, ranks)
        if student.labeled is not None and targets.labeled is not None:
            found["labeled_cross"] = masked_bce(student.labeled, targets.labeled[1 - own])
        return {name: Term(value=value, weight=weights.unsupervised) for name, value in found.items()}
