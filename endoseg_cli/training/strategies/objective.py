"""What an objective is made of: what the networks gave as students and said as teachers, terms, and their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from endoseg_cli.training.shared.distributed import ALONE, Ranks
from endoseg_cli.training.shared.precision import at_least_float32
from endoseg_cli.training.strategies.mutual_learning import (
    PAPER_FORM,
    MutualForm,
    bottleneck_spread,
    mutual_values,
    mutual_weights,
)
from endoseg_cli.training.strategies.pseudo_labels import PseudoLabel, Reduction, masked_bce

DiceOver = Literal["batch", "frame"]
"""What the sums of the soft Dice loss run over."""
PEAK_SHARE = 0.001
"""Share of a frame's pixels, those with the highest logits, that say whether a lesion is in it at all."""

View = Literal["labeled", "weak", "strong", "strong_2", "perturbed"]
"""What a batch of students' logits is called."""


@dataclass(frozen=True, kw_only=True)
class StudentOutputs:
    """What one network gave in train mode; what was not studied is None."""

    labeled: Tensor | None = None
    """z(x_l), logits of the labelled frames, (B, C, H, W)."""
    weak: Tensor | None = None
    """z(x_w), logits of w1 with w2 in the boxes."""
    strong: Tensor | None = None
    """z(x_s), logits of s1 with s2 in the boxes."""
    strong_2: Tensor | None = None
    """Logits of s2 with s1 in the boxes."""
    perturbed: Tensor | None = None
    """Logits of the weak view from disturbed features."""
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
    other_pseudo: tuple[PseudoLabel, PseudoLabel] | None = None
    """Pseudo-labels of w2 with w1 in the boxes."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveWeights:
    """How much each term counts in one step; a weight of 0 leaves its terms out."""

    unsupervised: float = 0.0
    """lambda, of cross-supervision, joint pseudo-label and cross-supervision on labelled frames."""
    mutual: float = 0.0
    """Weight of mutual learning, 0.5 in the paper."""
    logit: float = 1.0
    """Weight of the logits' mean squared difference within mutual learning, 1 in the paper."""
    mutual_form: MutualForm = PAPER_FORM
    """What mutual learning compares."""
    dice: float = 0.0
    """Weight of a soft Dice loss beside the supervised cross-entropy, 0 in the paper."""
    dice_over: DiceOver = "batch"
    """What its sums run over."""
    presence: float = 0.0
    """Weight of the cross-entropy of each frame's peak with whether it has a lesion, 0 in the paper."""
    reduction: Reduction = "all"
    """What the masked losses are divided by."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """One term of the objective, a scalar."""

    value: Tensor
    """The term before weighting."""
    weight: float
    """What it counts; with 0 it is only told."""


Pair = tuple[StudentOutputs, StudentOutputs]


def supervised_terms(
    student: StudentOutputs, targets: Targets, weights: ObjectiveWeights, ranks: Ranks = ALONE
) -> dict[str, Term]:
    """Return the cross-entropy with the masks, and the other losses that count; nothing without labelled frames."""
    if student.labeled is None:
        return {}
    terms = {"supervised": Term(value=masked_bce(student.labeled, targets.masks), weight=1.0)}
    if weights.dice:
        dice = frame_dice_loss if weights.dice_over == "frame" else soft_dice_loss
        terms["dice"] = Term(value=dice(student.labeled, targets.masks, ranks), weight=weights.dice)
    if weights.presence:
        terms["presence"] = Term(value=presence_loss(student.labeled, targets.masks), weight=weights.presence)
    return terms


def guided_loss(logits: Tensor, teacher: PseudoLabel, reduction: Reduction, ranks: Ranks = ALONE) -> Tensor:
    """Return the cross-entropy of logits (B, C, H, W) with a pseudo-label where it is certain, as a scalar."""
    loss = masked_bce(logits, teacher.label, teacher.certain, reduction)
    if reduction == "kept" and ranks.size > 1:
        # each process divided by its own kept pixels; all together divide by the mean of them
        kept = teacher.certain.sum().to(loss.dtype)
        loss = loss * kept / ranks.mean(kept).clamp(min=1 / ranks.size)
    return loss


def mutual_terms(students: Pair, weights: ObjectiveWeights, ranks: Ranks = ALONE) -> dict[str, Term]:
    """Return the terms of mutual learning, of both networks together, and how much the bottlenecks still vary."""
    first, second = students
    assert first.labeled is not None and second.labeled is not None, "mutual learning compares logits"
    assert first.low_level is not None and second.low_level is not None, "mutual learning compares features"
    assert first.bottleneck is not None and second.bottleneck is not None, "mutual learning compares bottlenecks"
    form = weights.mutual_form
    values = mutual_values(
        (first.labeled, second.labeled),
        (first.low_level, second.low_level),
        (first.bottleneck, second.bottleneck),
        form,
        ranks,
    )
    counts = mutual_weights(form, weights.logit)
    terms = {name: Term(value=value, weight=weights.mutual * counts[name]) for name, value in values.items()}
    for number, student in enumerate((first, second), start=1):
        assert student.bottleneck is not None
        spread = bottleneck_spread(student.bottleneck.detach(), ranks)
        terms[f"bottleneck_spread_{number}"] = Term(value=spread, weight=0.0)
    return terms


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


def presence_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the cross-entropy of each frame's highest logits (B, C, H, W) with whether the class is in the frame.

    Not in the paper. A lesion that is drawn where there is none covers few pixels, so that the mean over pixels hardly
    feels it; this loss looks at the surest pixels alone, `PEAK_SHARE` of them and at least one.
    """
    pixels = at_least_float32(logits).flatten(2)
    peaks = pixels.topk(max(round(PEAK_SHARE * pixels.shape[2]), 1), dim=2).values
    present = masks.flatten(2).any(2, keepdim=True).to(peaks.dtype)
    return F.binary_cross_entropy_with_logits(peaks, present.expand_as(peaks))
