"""What a method is: how teachers become targets, which views the two networks study, and what these teach them.

Views, schedule, networks, checkpoints and reports are the trainer's and the same for all. Both networks are always
trained and both go into the model: a method of one network is run twice side by side, from two random starts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor

from endoseg_cli.data.views.cutmix import paste_box
from endoseg_cli.training.shared.distributed import ALONE, Ranks
from endoseg_cli.training.strategies.objective import (
    ObjectiveWeights,
    Pair,
    Targets,
    Term,
    View,
    supervised_terms,
)
from endoseg_cli.training.strategies.pseudo_labels import PseudoLabel, make_pseudo_label
from endoseg_cli.training.strategies.teacher import TeacherMaps
from endoseg_cli.training.strategies.uncertainty import ThresholdScope, binary_entropy

Certainty = Literal["own", "both"]
"""Whose passes say how certain a pseudo-label is: those of the network that gave it, or those of both."""
Teaching = Literal["networks", "averages"]
"""Who teaches: the networks themselves, or their exponential averages."""


class MethodSettings(Protocol):
    """The settings of a run that methods read; `training.settings` documents them."""

    @property
    def cross_supervision(self) -> bool: ...
    @property
    def joint_pseudo_label(self) -> bool: ...
    @property
    def labeled_cross(self) -> bool: ...
    @property
    def uncertainty_guidance(self) -> bool: ...
    @property
    def num_passes(self) -> int: ...
    @property
    def threshold_scope(self) -> ThresholdScope: ...
    @property
    def certainty(self) -> Certainty: ...
    @property
    def min_confidence(self) -> float: ...
    @property
    def unsupervised_weight(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class UnlabeledViews:
    """The pictures of unlabelled frames on the device, (B, 3, H, W), normalised."""

    weak_1: Tensor
    """w1."""
    weak_2: Tensor
    """w2."""
    strong_1: Tensor
    """s1, of w1."""
    strong_2: Tensor
    """s2, of w2."""
    boxes: Tensor
    """CutMix boxes, (B, 1, H, W) bool."""
    boxed: Tensor
    """Positions of the frames that have a box, (N,) int64."""

    @property
    def weak(self) -> Tensor:
        """w1 with w2 in the boxes."""
        return paste_box(self.weak_1, self.weak_2, self.boxes)

    @property
    def strong(self) -> Tensor:
        """s1 with s2 in the boxes."""
        return paste_box(self.strong_1, self.strong_2, self.boxes)

    @property
    def other_strong(self) -> Tensor:
        """s2 with s1 in the boxes."""
        return paste_box(self.strong_2, self.strong_1, self.boxes)


@dataclass(frozen=True, kw_only=True)
class Views:
    """The pictures of a step."""

    labeled: Tensor
    """x_l on the device, (B, 3, H, W), normalised."""
    unlabeled: UnlabeledViews | None = None
    """Those without masks, while they count."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """Pictures that both networks study in train mode: one batch for BatchNorm, with a backward pass of its own."""

    view: View
    """What the logits are called in `StudentOutputs`, and the dropout's stream."""
    pictures: Tensor
    """(B, 3, H, W), normalised."""
    with_features: bool = False
    """Whether the loss compares features as well."""
    feature_dropout: float = 0.0
    """Probability with which each channel of every encoder feature is dropped."""


class Method(ABC):
    """A method of learning, made from the settings of a run; it holds nothing that training changes."""

    summary: ClassVar[str]
    """One line that says what it does."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Settings of TrainConfig that `--method` sets besides, where they are not the defaults."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Settings of TrainConfig that count in this method and not in all."""
    teaching: ClassVar[Teaching] = "networks"
    """Who gives the targets."""
    passes_over_both: ClassVar[bool] = False
    """Whether teachers are to look at all of w2 as well, not only inside the boxes."""

    def __init__(self, config: MethodSettings) -> None:
        self.config = config

    @classmethod
    def uses_unlabeled(cls, config: MethodSettings) -> bool:
        """Return whether frames without masks are learned from under these settings."""
        return config.unsupervised_weight > 0

    @property
    def num_passes(self) -> int:
        """Stochastic passes of a teacher over a view; with 0 it predicts once, without dropout."""
        return 0

    @abstractmethod
    def targets(self, said: tuple[TeacherMaps, TeacherMaps], masks: Tensor) -> Targets:
        """Return what the networks learn from, given what both teachers said."""

    def studies(self, views: Views, weights: ObjectiveWeights) -> list[Study]:
        """Return the batches of a step in order; the first is that of the labelled frames."""
        studies = [Study(view="labeled", pictures=views.labeled, with_features=weights.mutual > 0)]
        if weights.unsupervised:
            assert views.unlabeled is not None, "frames without masks count only where there are any"
            studies += self.unlabeled_studies(views.unlabeled)
        return studies

    def unlabeled_studies(self, views: UnlabeledViews) -> list[Study]:
        """Return the batches without masks."""
        return []

    def terms(
        self, students: Pair, targets: Targets, weights: ObjectiveWeights, ranks: Ranks = ALONE
    ) -> dict[str, Term]:
        """Return every term that what the networks gave has a part in, for both networks together.

        Terms are named `<term>_<network>`; those that belong to both networks have no number. The objective is the sum
        of weight times value; with several processes the mean of their results is that of the whole batch.
        """
        terms: dict[str, Term] = {}
        for own in (0, 1):
            found = supervised_terms(students[own], targets, weights, ranks)
            if weights.unsupervised:
                found |= self.own_terms(students, own, targets, weights, ranks)
            terms |= {f"{name}_{own + 1}": term for name, term in found.items()}
        return terms

    def own_terms(
        self, students: Pair, own: int, targets: Targets, weights: ObjectiveWeights, ranks: Ranks
    ) -> dict[str, Term]:
        """Return the unsupervised terms of one network, named without its number."""
        return {}


def confident_labels(said: tuple[TeacherMaps, TeacherMaps], confidence: float) -> tuple[PseudoLabel, PseudoLabel]:
    """Return the `confident_label` of both networks."""
    return confident_label(said[0], confidence), confident_label(said[1], confidence)


def confident_label(said: TeacherMaps, confidence: float, passes: Tensor | None = None) -> PseudoLabel:
    """Return one prediction as a pseudo-label that is trusted where its larger probability reaches `confidence`.

    `passes` (K, B, C, H, W) are those of the teacher if not given.
    """
    probability = (said.passes if passes is None else passes).mean(dim=0)
    label = make_pseudo_label(probability, binary_entropy(probability))
    sure = torch.maximum(probability, 1 - probability) >= confidence
    return PseudoLabel(probability=label.probability, uncertainty=label.uncertainty, label=label.label, certain=sure)
