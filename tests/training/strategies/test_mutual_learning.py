"""Mutual learning against plain loops, and the whole objective put together from the parts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from endoseg_cli.training.strategies.mutual_learning import (
    PAPER_FORM,
    MutualForm,
    bottleneck_divergence,
    bottleneck_spread,
    logit_consistency,
    low_level_dissimilarity,
    mutual_values,
    mutual_weights,
    normalised_channels,
    probability_consistency,
)
from endoseg_cli.training.strategies.pseudo_labels import joint_pseudo_label, masked_bce, pseudo_label_from_passes
from endoseg_cli.training.strategies.ramp import epoch_weight
from tests.training import naive

Term = Callable[[Tensor, Tensor], Tensor]
Pair = tuple[Tensor, Tensor]


def mutual_loss(
    logits: Pair, low_level: Pair, bottleneck: Pair, logit_weight: float = 1.0, form: MutualForm = PAPER_FORM
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum of the terms, and the terms."""
    values, weights = mutual_values(logits, low_level, bottleneck, form), mutual_weights(form, logit_weight)
    loss = torch.stack([weights[name] * value for name, value in values.items()]).sum()
    return loss, {name: value.detach() for name, value in values.items()}


def random_values(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def pair(seed: int, *shape: int) -> tuple[Tensor, Tensor]:
    return random_values(seed, *shape), random_values(seed + 1, *shape)


def gradients(term: Term, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    leaves = (first.clone().requires_grad_(), second.clone().requires_grad_())
    found = torch.autograd.grad(term(*leaves), leaves)
    return found[0], found[1]


@pytest.mark.parametrize("size", [(14, 13), (11, 20), (8, 5), (12, 1), (2, 2)])
def test_ssim_equals_plain_loops_also_below_the_size_of_the_window(size: tuple[int, int]) -> None:
    first, second = pair(0, 2, 3, *size)
    found = low_level_dissimilarity(first * 3, second + 1).item()
    assert found == pytest.approx(1 - naive.ssim((first * 3).numpy(), (second + 1).numpy()), abs=1e-9)


def test_equal_features_are_not_dissimilar_and_opposite_ones_are() -> None:
    features = random_values(2, 2, 4, 16, 16)
    assert low_level_dissimilarity(features, features).item() == pytest.approx(0.0, abs=1e-9)
    assert low_level_dissimilarity(features, -features).item() > 1.0


def test_features_that_differ_in_scale_alone_are_dissimilar_but_a_common_scale_is_nothing() -> None:
    features, other = pair(3, 2, 4, 16, 16)
    assert low_level_dissimilarity(features, 10 * features).item() > 0.1
    together = low_level_dissimilarity(100 * features - 7, 100 * other - 7).item()
    assert together == pytest.approx(low_level_dissimilarity(features, other).item(), abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 1e-3, 250.0])
def test_constant_features_give_a_finite_loss_and_gradient(value: float) -> None:
    constant = torch.full((2, 3, 12, 12), value)
    assert low_level_dissimilarity(constant, constant).item() == pytest.approx(0.0, abs=1e-6)
    for other in (constant, random_values(4, 2, 3, 12, 12).float()):
        assert all(torch.isfinite(gradient).all() for gradient in gradients(low_level_dissimilarity, constant, other))


def test_ssim_under_autocast_is_that_in_full_precision() -> None:
    first, second = (values.float() for values in pair(5, 1, 4, 20, 20))
    alone = low_level_dissimilarity(first, second)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(low_level_dissimilarity(first, second), alone)


@pytest.mark.parametrize("term", [low_level_dissimilarity, bottleneck_divergence, logit_consistency])
def test_gradients_are_right_and_reach_both_networks(term: Term) -> None:
    first, second = pair(6, 1, 2, 5, 4)
    leaves = (first.requires_grad_(), second.requires_grad_())
    assert torch.autograd.gradcheck(term, leaves)
    assert all(gradient.abs().sum() > 0 for gradient in gradients(term, first.detach(), second.detach()))


def test_bottleneck_divergence_equals_plain_loops_in_either_direction() -> None:
    first, second = pair(8, 3, 6, 4, 5)
    for one, other in ((first, second), (second, first)):
        found = bottleneck_divergence(one, other).item()
        assert found == pytest.approx(naive.kl(one.numpy(), other.numpy()), abs=1e-9)
    assert bottleneck_divergence(first, second).item() != pytest.approx(bottleneck_divergence(second, first).item())
    assert bottleneck_divergence(first, first + 3).item() == pytest.approx(0.0, abs=1e-9)


def test_mutual_loss_is_that_of_both_networks_and_reports_its_terms() -> None:
    logits, low_level, bottleneck = pair(10, 2, 1, 6, 6), pair(12, 2, 3, 12, 12), pair(14, 2, 5, 2, 2)
    loss, terms = mutual_loss(logits, low_level, bottleneck)
    arrays = [(a.numpy(), b.numpy()) for a, b in (logits, low_level, bottleneck)]
    expected = naive.mutual(arrays[0], arrays[1], arrays[2], 0) + naive.mutual(arrays[0], arrays[1], arrays[2], 1)
    assert loss.item() == pytest.approx(expected, abs=1e-9)
    rebuilt = 2 * terms["logit_mse"] + terms["low_level_dissimilarity"] + 0.5 * terms["bottleneck_kl"]
    assert rebuilt.item() == pytest.approx(loss.item())
    lighter, _ = mutual_loss(logits, low_level, bottleneck, logit_weight=0.1)
    assert (loss - lighter).item() == pytest.approx(1.8 * terms["logit_mse"].item())


def test_mutual_loss_moves_both_networks_through_every_term_and_its_report_neither() -> None:
    leaves = [
        tuple(values.requires_grad_() for values in pair(*seed_and_shape))
        for seed_and_shape in ((16, 2, 1, 6, 6), (18, 2, 3, 12, 12), (20, 2, 5, 2, 2))
    ]
    logits, low_level, bottleneck = ((both[0], both[1]) for both in leaves)
    loss, terms = mutual_loss(logits, low_level, bottleneck)
    found = torch.autograd.grad(loss, [*logits, *low_level, *bottleneck])
    assert all(gradient.abs().sum() > 0 for gradient in found)
    assert not any(term.requires_grad for term in terms.values())


@pytest.mark.parametrize("epoch", [0, 3, 5])
def test_the_whole_objective_put_together_equals_plain_loops(epoch: int) -> None:
    shape = (2, 1, 6, 6)
    masks = (random_values(30, *shape) > 0.5).double()
    labelled, weak, strong = pair(31, *shape), pair(33, *shape), pair(35, *shape)
    teacher, passes = pair(37, *shape), pair(39, 5, *shape)
    low_level, bottleneck = pair(41, 2, 3, 12, 12), pair(43, 2, 5, 2, 2)
    first, second = (pseudo_label_from_passes(torch.sigmoid(logits)) for logits in passes)
    joint = joint_pseudo_label(first, second)
    loss = 0.5 * mutual_loss(labelled, low_level, bottleneck)[0]
    for own, other, taught in ((0, 1, second), (1, 0, first)):
        unsupervised = masked_bce(weak[own], taught.label, taught.certain)
        unsupervised = unsupervised + masked_bce(strong[own], joint.label, joint.certain)
        unsupervised = unsupervised + masked_bce(labelled[own], teacher[other] > 0)
        loss = loss + masked_bce(labelled[own], masks) + epoch_weight(epoch) * unsupervised
    step = naive.Step(
        masks=masks.numpy(),
        labelled=(labelled[0].numpy(), labelled[1].numpy()),
        teacher=(torch.sigmoid(teacher[0]).numpy(), torch.sigmoid(teacher[1]).numpy()),
        weak=(weak[0].numpy(), weak[1].numpy()),
        strong=(strong[0].numpy(), strong[1].numpy()),
        passes=(torch.sigmoid(passes[0]).numpy(), torch.sigmoid(passes[1]).numpy()),
        low_level=(low_level[0].numpy(), low_level[1].numpy()),
        bottleneck=(bottleneck[0].numpy(), bottleneck[1].numpy()),
    )
    assert loss.item() == pytest.approx(naive.objective(step, epoch), abs=1e-9)


MENDED = MutualForm(on="probabilities", low_level=0.0, bottleneck="normalised")


def test_a_reducer_that_shrinks_or_shifts_its_output_does_not_lower_the_mended_divergence() -> None:
    """In the paper's form all-zero bottlenecks are the best; in the mended one their size counts nothing."""
    logits, low_level, bottleneck = pair(50, 2, 1, 6, 6), pair(52, 2, 3, 12, 12), pair(54, 4, 5, 3, 3)
    small = (bottleneck[0] * 0.1 + 3, bottleneck[1] * 0.1 - 2)
    found = {
        form: [mutual_values(logits, low_level, both, form)["bottleneck_kl"].item() for both in (bottleneck, small)]
        for form in (PAPER_FORM, MENDED)
    }
    assert found[PAPER_FORM][1] < 0.1 * found[PAPER_FORM][0]
    assert found[MENDED][1] == pytest.approx(found[MENDED][0], rel=0.01) and found[MENDED][0] > 0.1


def test_normalised_channels_have_mean_0_and_variance_1_and_leave_constant_ones_finite() -> None:
    values = normalised_channels(random_values(60, 3, 4, 5, 5) * 7 + 2)
    assert values.mean((0, 2, 3)).abs().max() < 1e-9
    assert values.var((0, 2, 3), unbiased=False).numpy() == pytest.approx(1.0, abs=1e-4)
    constant = torch.full((2, 3, 2, 2), 5.0, requires_grad=True)
    normalised_channels(constant).sum().backward()  # type: ignore[no-untyped-call]
    assert constant.grad is not None and constant.grad.isfinite().all()


def test_the_spread_tells_a_living_bottleneck_from_one_value() -> None:
    assert bottleneck_spread(random_values(61, 4, 8, 5, 5)).item() == pytest.approx(1.0, abs=0.1)
    assert bottleneck_spread(torch.full((2, 3, 4, 4), 0.7)).item() == pytest.approx(0.0, abs=1e-6)


def test_probabilities_of_sure_networks_differ_by_less_than_their_logits() -> None:
    first, second = torch.full((1, 1, 4, 4), 6.0), torch.full((1, 1, 4, 4), 12.0)
    assert probability_consistency(first, second) < 1e-5 < 36 == logit_consistency(first, second)
    assert torch.autograd.gradcheck(probability_consistency, [v.requires_grad_() for v in pair(62, 1, 2, 3, 3)])


def test_the_mended_form_has_its_own_terms() -> None:
    arguments = (pair(10, 2, 1, 6, 6), pair(12, 2, 3, 12, 12), pair(14, 2, 5, 2, 2))
    assert set(mutual_values(*arguments, MENDED)) == {"probability_mse", "bottleneck_kl"}
