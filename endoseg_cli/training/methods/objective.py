"""The objective L(1) + L(2), arranged from what the networks gave as students and said as teachers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from endoseg_cli.training.methods.mutual_learning import mutual_loss
from endoseg_cli.training.methods.pseudo_labels import PseudoLabel, Reduction, masked_bce
from endoseg_cli.training.shared.distributed import ALONE, Ranks
from endoseg_cli.training.shared.precision import at_least_float32

DiceOver = Literal["batch", "frame"]
"""What the sums of the soft Dice loss run over."""


@dataclass(frozen=True, kw_only=True)
class StudentOutputs:
    """What one network gave in train mode; what a step does not need is None."""

    labeled: Tensor
    """z(x_l), logits of the labelled frames, (B, C, H, W)."""
    weak: Tensor | None = None
    """z(x_w), logits of w1 with w2 in the boxes."""
    strong: Tensor | None = None
    """z(x_s), logits of s1 with s2 in the boxes."""
    low_level: Tensor | None = None
    """First-stage encoder features of the labelled frames, (B, 64, H/2, W/2)."""
    bottleneck: Tensor | None = None
    """Reduced bottlenecks of the labelled frames."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What the students learn from; pairs are networks 1 and 2, and nothing here carries a gradient."""

    masks: Tensor
    """y_l, (B, C, H, W) in {0, 1}."""
    labeled: tuple[Tensor, Tensor] | None = None
    """y~(x_l) of each teacher, bool."""
    pseudo: tuple[PseudoLabel, PseudoLabel] | None = None
    """Pseudo-labels of each teacher for the unlabelled frames."""
    joint: PseudoLabel | None = None
    """The joint pseudo-label."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveWeights:
    """How much each term counts in one step; a weight of 0 leaves its terms out."""

    unsupervised: float = 0.0
    """lambda, of cross-supervision, joint pseudo-label and cross-supervision on labelled frames."""
    mutual: float = 0.0
    """Weight of mutual learning, 0.5 in the paper."""
    logit: float = 1.0
    """Weight of the logits' mean squared difference within mutual learning, 1 in the paper."""
    dice: float = 0.0
    """Weight of a soft Dice loss beside the supervised cross-entropy, 0 in the paper."""
    dice_over: DiceOver = "batch"
    """What its sums run over."""
    reduction: Reduction = "all"
    """What the masked losses are divided by."""


Pair = tuple[StudentOutputs, StudentOutputs]


def objective(
    students: Pair, targets: Targets, weights: ObjectiveWeights, ranks: Ranks = ALONE
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return L(1) + L(2) as a scalar and every term of it before weighting, detached (Endo-SemiS, objective).

    Terms are named `<term>_<network>`; those of mutual learning belong to both networks. A target or a view
    that is None leaves its term out. With several processes the mean of their results is that of the whole batch.
    """
    total = students[0].labeled.new_zeros(())
    terms: dict[str, Tensor] = {}
    for own in (0, 1):
        loss, found = _own_loss(students[own], targets, 1 - own, weights, ranks)
        total = total + loss
        terms |= {f"{name}_{own + 1}": term for name, term in found.items()}
    if weights.mutual:
        loss, found = _mutual(students, weights)
        total = total + weights.mutual * loss
        terms |= found
    return total, {name: term.detach() for name, term in terms.items()}


def _own_loss(
    student: StudentOutputs, targets: Targets, other: int, weights: ObjectiveWeights, ranks: Ranks
) -> tuple[Tensor, dict[str, Tensor]]:
    terms = {"supervised": masked_bce(student.labeled, targets.masks)}
    loss = terms["supervised"]
    if weights.dice:
        over_frames = weights.dice_over == "frame"
        dice = frame_dice_loss if over_frames else soft_dice_loss
        terms["dice"] = dice(student.labeled, targets.masks, ranks)
        loss = loss + weights.dice * terms["dice"]
    if weights.unsupervised:
        unsupervised = _unsupervised_terms(student, targets, other, weights, ranks)
        terms |= unsupervised
        loss = loss + weights.unsupervised * sum(unsupervised.values(), start=loss.new_zeros(()))
    return loss, terms


def _unsupervised_terms(
    student: StudentOutputs, targets: Targets, other: int, weights: ObjectiveWeights, ranks: Ranks
) -> dict[str, Tensor]:
    terms: dict[str, Tensor] = {}
    if targets.pseudo is not None and student.weak is not None:
        terms["cross"] = _guided(student.weak, targets.pseudo[other], weights.reduction, ranks)
    if targets.joint is not None and student.strong is not None:
        terms["joint"] = _guided(student.strong, targets.joint, weights.reduction, ranks)
    if targets.labeled is not None:
        terms["labeled_cross"] = masked_bce(student.labeled, targets.labeled[other])
    return terms


def _guided(logits: Tensor, teacher: PseudoLabel, reduction: Reduction, ranks: Ranks) -> Tensor:
    loss = masked_bce(logits, teacher.label, teacher.certain, reduction)
    if reduction == "kept" and ranks.size > 1:
        # each process divided by its own kept pixels; all together divide by the mean of them
        kept = teacher.certain.sum().to(loss.dtype)
        loss = loss * kept / ranks.mean(kept).clamp(min=1 / ranks.size)
    return loss


def _mutual(students: Pair, weights: ObjectiveWeights) -> tuple[Tensor, dict[str, Tensor]]:
    first, second = students
    assert first.low_level is not None and second.low_level is not None, "mutual learning compares features"
    assert first.bottleneck is not None and second.bottleneck is not None, "mutual learning compares bottlenecks"
    return mutual_loss(
        (first.labeled, second.labeled),
        (first.low_level, second.low_level),
        (first.bottleneck, second.bottleneck),
        logit_weight=weights.logit,
    )


def soft_dice_loss(logits: Tensor, masks: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """Return 1 - (2 sum p y + 1) / (sum p + sum y + 1), over batch and pixels, averaged over classes.

    Not in the paper. The sums run over the whole batch, so frames without a lesion still push their probabilities
    down, and the loss stays finite in a batch that has no lesion at all.
    """
    probability = torch.sigmoid(at_least_float32(logits))
    target = masks.to(probability.dtype)
    pixels = (0, 2, 3)
    overlap = (probability * target).sum(pixels)
    total = probability.sum(pixels) + target.sum(pixels)
    overlap, total = ranks.sum(torch.stack([overlap, total])).unbind()
    return 1 - ((2 * overlap + 1) / (total + 1)).mean()


def frame_dice_loss(logits: Tensor, masks: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """Return 1 - (2 sum p y + 1) / (sum p + sum y + 1) of each frame and class with a lesion, averaged over them.

    Not in the paper. Frames without a lesion, of which the cross-entropy says enough, count nothing, so that a small
    lesion weighs as much as a large one; a batch that has no lesion at all gives 0.
    """
    probability = torch.sigmoid(at_least_float32(logits))
    target = masks.to(probability.dtype)
    overlap = (probability * target).sum((2, 3))
    size = target.sum((2, 3))
    loss = 1 - (2 * overlap + 1) / (probability.sum((2, 3)) + size + 1)
    present = (size > 0).to(loss.dtype)
    total, count = (loss * present).sum(), present.sum()
    # the mean of the processes' results is that of the whole batch
    return total / ranks.mean(count).clamp(min=1 / ranks.size)
