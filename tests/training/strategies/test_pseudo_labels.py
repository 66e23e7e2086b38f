"""Pseudo-labels, the joint pseudo-label and the masked loss, against plain loops; and where no gradient may go."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from endoseg_cli.data.views.cutmix import CutMixBox, box_mask, paste_box
from endoseg_cli.training.strategies.pseudo_labels import (
    PseudoLabel,
    Reduction,
    joint_pseudo_label,
    make_pseudo_label,
    masked_bce,
    pseudo_label_agreement,
    pseudo_label_from_passes,
    pseudo_label_statistics,
)
from endoseg_cli.training.strategies.uncertainty import ThresholdRule, ThresholdScope
from tests.training import naive

SHAPE = (2, 2, 6, 7)
SCOPES: tuple[ThresholdScope, ...] = ("image", "pseudo-class")


def random_passes(seed: int) -> Tensor:
    return torch.sigmoid(3 * random_values(seed, (5, *SHAPE)))


def random_values(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def from_label(label: Tensor, certain: Tensor) -> PseudoLabel:
    return PseudoLabel(probability=label.float(), uncertainty=label.float(), label=label, certain=certain)


@pytest.mark.parametrize("scope", SCOPES)
def test_pseudo_label_equals_plain_loops(scope: ThresholdScope) -> None:
    passes = random_passes(0)
    found = pseudo_label_from_passes(passes, ThresholdRule(scope=scope))
    probability = naive.mean_probability(passes.numpy())
    uncertainty = naive.expected_entropy(passes.numpy())
    label = naive.above_half(probability)
    np.testing.assert_allclose(found.probability.numpy(), probability, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.uncertainty.numpy(), uncertainty, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.label.numpy(), label)
    expected = naive.certain(uncertainty, label if scope == "pseudo-class" else None)
    np.testing.assert_array_equal(found.certain.numpy(), expected)


def test_exactly_one_half_is_background() -> None:
    assert not pseudo_label_from_passes(torch.full((1, 1, 1, 2, 2), 0.5)).label.any()


@pytest.mark.parametrize("scope", SCOPES)
def test_joint_pseudo_label_equals_plain_loops(scope: ThresholdScope) -> None:
    rule = ThresholdRule(scope=scope)
    first, second = (pseudo_label_from_passes(random_passes(seed), rule) for seed in (1, 2))
    found = joint_pseudo_label(first, second, rule)
    probability, uncertainty = naive.joint(
        (first.probability.numpy(), second.probability.numpy()),
        (first.uncertainty.numpy(), second.uncertainty.numpy()),
    )
    label = naive.above_half(probability)
    np.testing.assert_array_equal(found.probability.numpy(), probability)
    np.testing.assert_array_equal(found.uncertainty.numpy(), uncertainty)
    np.testing.assert_array_equal(found.label.numpy(), label)
    expected = naive.certain(uncertainty, label if scope == "pseudo-class" else None)
    np.testing.assert_array_equal(found.certain.numpy(), expected)


def test_the_first_network_wins_a_tie_of_uncertainty() -> None:
    uncertainty = torch.full((1, 1, 3, 3), 0.2)
    first, second = (make_pseudo_label(torch.full((1, 1, 3, 3), p), uncertainty) for p in (0.9, 0.1))
    assert joint_pseudo_label(first, second).label.all()
    assert not joint_pseudo_label(second, first).label.any()


def test_pasting_passes_is_pasting_every_map() -> None:
    first, second = random_passes(3), random_passes(4)
    box = CutMixBox(top=1, left=2, height=3, width=4)
    boxes = torch.stack([box_mask(box, SHAPE[-2:]), box_mask(None, SHAPE[-2:])])
    pasted = pseudo_label_from_passes(paste_box(first, second, boxes))
    of_first, of_second = pseudo_label_from_passes(first), pseudo_label_from_passes(second)
    for name in ("probability", "uncertainty", "label"):
        expected = paste_box(getattr(of_first, name), getattr(of_second, name), boxes)
        torch.testing.assert_close(getattr(pasted, name), expected, rtol=0, atol=0)


def test_pseudo_labels_carry_no_gradient() -> None:
    logits = random_values(5, (5, *SHAPE)).requires_grad_()
    first = pseudo_label_from_passes(torch.sigmoid(logits))
    joint = joint_pseudo_label(first, first)
    for pseudo_label in (first, joint):
        assert not any(getattr(pseudo_label, name).requires_grad for name in ("probability", "uncertainty"))


@pytest.mark.parametrize("reduction", ["all", "kept"])
def test_masked_bce_equals_plain_loops(reduction: Reduction) -> None:
    logits, target = random_values(6), random_values(7) > 0.3
    keep = random_values(8) > -0.5
    found = masked_bce(logits, target, keep, reduction).item()
    expected = naive.bce(logits.numpy(), target.numpy() * 1.0, keep.numpy() * 1.0, over_kept=reduction == "kept")
    assert found == pytest.approx(expected, abs=1e-9)
    assert masked_bce(logits, target).item() == pytest.approx(naive.bce(logits.numpy(), target.numpy() * 1.0), abs=1e-9)


def test_loss_moves_the_student_where_kept_and_never_the_teacher() -> None:
    student, teacher = random_values(9).requires_grad_(), random_values(10).requires_grad_()
    keep = random_values(11) > 0
    loss = masked_bce(student, torch.sigmoid(teacher), keep)
    (of_student,) = torch.autograd.grad(loss, student, retain_graph=True)
    torch.testing.assert_close(of_student != 0, keep)
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(loss, teacher)


@pytest.mark.parametrize("reduction", ["all", "kept"])
def test_nothing_kept_is_a_loss_of_zero_that_can_be_back_propagated(reduction: Reduction) -> None:
    logits = random_values(12).requires_grad_()
    loss = masked_bce(logits, logits > 0, torch.zeros(SHAPE, dtype=torch.bool), reduction)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0.0
    assert not gradient.any()


def test_loss_of_half_precision_logits_is_computed_in_float32() -> None:
    loss = masked_bce(torch.tensor([[[[-30.0]]]], dtype=torch.float16), torch.ones((1, 1, 1, 1), dtype=torch.bool))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(30.0)


def test_statistics_count_labels_and_what_is_kept_of_each_class() -> None:
    label = torch.tensor([1, 1, 1, 0, 0, 0, 0, 0], dtype=torch.bool).view(1, 1, 2, 4)
    certain = torch.tensor([1, 0, 0, 1, 1, 1, 1, 0], dtype=torch.bool).view(1, 1, 2, 4)
    found = {name: value.item() for name, value in pseudo_label_statistics(from_label(label, certain)).items()}
    expected = {"foreground": 3 / 8, "kept": 5 / 8, "kept_foreground": 1 / 3, "kept_background": 4 / 5}
    assert found == pytest.approx(expected)


def test_statistics_of_a_picture_without_foreground_are_finite() -> None:
    empty = from_label(torch.zeros(SHAPE, dtype=torch.bool), torch.ones(SHAPE, dtype=torch.bool))
    assert all(math.isfinite(value.item()) for value in pseudo_label_statistics(empty).values())
    assert pseudo_label_agreement(empty, empty).item() == 1.0


def test_agreement_is_the_overlap_of_the_foregrounds() -> None:
    everywhere = torch.ones((1, 1, 1, 4), dtype=torch.bool)
    first = from_label(torch.tensor([1, 1, 1, 0], dtype=torch.bool).view(1, 1, 1, 4), everywhere)
    second = from_label(torch.tensor([0, 1, 0, 0], dtype=torch.bool).view(1, 1, 1, 4), everywhere)
    assert pseudo_label_agreement(first, second).item() == pytest.approx(2 * 1 / 4)
