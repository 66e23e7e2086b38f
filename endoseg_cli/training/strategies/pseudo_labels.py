"""Uncertainty-guided pseudo-labels, the joint pseudo-label, and the loss that they teach with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from endoseg_cli.training.shared.precision import at_least_float32
from endoseg_cli.training.strategies.uncertainty import (
    PAPER_RULE,
    ThresholdRule,
    certain_mask,
    expected_entropy,
    mean_probability,
)

Reduction = Literal["all", "kept"]
"""What a masked loss is divided by: the number of all pixels, or of the kept ones."""


@dataclass(frozen=True, kw_only=True)
class PseudoLabel:
    """What a teacher says about unlabelled frames; every map is (B, C, H, W) and carries no gradient."""

    probability: Tensor
    """P, the mean probability of the stochastic passes."""
    uncertainty: Tensor
    """U, the mean entropy of the stochastic passes, in nats."""
    label: Tensor
    """y~ = 1[P > 0.5], bool."""
    certain: Tensor
    """U^b = 1[U <= T], bool: the pixels that the label is trusted in."""


def make_pseudo_label(probability: Tensor, uncertainty: Tensor, rule: ThresholdRule = PAPER_RULE) -> PseudoLabel:
    """Return the pseudo-label of two maps (B, C, H, W): label, dynamic threshold and certain pixels."""
    probability, uncertainty = probability.detach(), uncertainty.detach()
    label = probability > 0.5
    certain = certain_mask(uncertainty, label, rule)
    return PseudoLabel(probability=probability, uncertainty=uncertainty, label=label, certain=certain)


def pseudo_label_from_passes(passes: Tensor, rule: ThresholdRule = PAPER_RULE) -> PseudoLabel:
    """Return the pseudo-label of K stochastic passes' probabilities (K, B, C, H, W) (Endo-SemiS, pseudo-labels).

    With CutMix, paste the passes over the second view into those over the first: every map is computed pixel by pixel,
    so this is the same as pasting the maps. The threshold is then taken over the pasted uncertainty.
    """
    return make_pseudo_label(mean_probability(passes), expected_entropy(passes), rule)


def joint_pseudo_label(first: PseudoLabel, second: PseudoLabel, rule: ThresholdRule = PAPER_RULE) -> PseudoLabel:
    """Return, pixel by pixel, what the less uncertain of two networks says (Endo-SemiS, joint pseudo-label).

    M = 1[U_1 <= U_2], so the first network wins a tie; label, threshold and certain pixels follow from the joint maps.
    """
    from_first = first.uncertainty <= second.uncertainty
    probability = torch.where(from_first, first.probability, second.probability)
    uncertainty = torch.where(from_first, first.uncertainty, second.uncertainty)
    return make_pseudo_label(probability, uncertainty, rule)


def trusted_by(label: PseudoLabel, uncertainty: Tensor, rule: ThresholdRule = PAPER_RULE) -> PseudoLabel:
    """Return the pseudo-label with another map (B, C, H, W) of uncertainty, which decides what is certain."""
    return replace(label, uncertainty=uncertainty, certain=certain_mask(uncertainty, label.label, rule))


def masked_bce(logits: Tensor, target: Tensor, keep: Tensor | None = None, reduction: Reduction = "all") -> Tensor:
    """Return the binary cross-entropy of `logits` with `target` where `keep` is true, as a scalar.

    All are (B, C, H, W); `target` is bool or a probability and gets no gradient; without `keep` every pixel counts. The
    reduction "all" is the paper's mean over all pixels, in which dropped ones count as zero; "kept" is the mean over
    the kept ones, 0 if there is none. Every supervised and pseudo-supervised term of Endo-SemiS is this function.
    """
    logits = at_least_float32(logits)
    losses = functional.binary_cross_entropy_with_logits(logits, target.detach().to(logits.dtype), reduction="none")
    if keep is None:
        return losses.mean()
    total = losses.masked_fill(~keep, 0.0).sum()
    return total / (losses.numel() if reduction == "all" else keep.sum().clamp(min=1))


def pseudo_label_statistics(pseudo_label: PseudoLabel) -> dict[str, Tensor]:
    """Return what to watch for a collapse, as scalars on the device, so that asking costs no synchronisation.

    "foreground" is the fraction of pixels labelled foreground, "kept" that of certain pixels, "kept_foreground" and
    "kept_background" the certain fractions of either class (0 where the batch has no such pixel).
    """
    label, certain = pseudo_label.label, pseudo_label.certain
    return {
        "foreground": label.float().mean(),
        "kept": certain.float().mean(),
        "kept_foreground": (certain & label).sum() / label.sum().clamp(min=1),
        "kept_background": (certain & ~label).sum() / (~label).sum().clamp(min=1),
    }


def pseudo_label_agreement(first: PseudoLabel, second: PseudoLabel) -> Tensor:
    """Return the Dice overlap of two networks' foregrounds over the batch, as a scalar, 1 where both have none.

    Not the fraction of equal pixels, which is near 1 for small lesions whatever the networks say.
    """
    overlap = (first.label & second.label).sum()
    total = first.label.sum() + second.label.sum()
    return torch.where(total == 0, 1.0, 2 * overlap / total.clamp(min=1))
