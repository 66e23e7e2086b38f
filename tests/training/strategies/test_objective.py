from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from endoseg_cli.training.methods.endo_semis import EndoSemiS
from endoseg_cli.training.strategies.objective import ObjectiveWeights, Pair, StudentOutputs, Targets, soft_dice_loss
from endoseg_cli.training.strategies.pseudo_labels import joint_pseudo_label, pseudo_label_from_passes
from endoseg_cli.training.strategies.ramp import epoch_weight
from tests.training import naive
from tests.training.small import CONFIG

SHAPE = (2, 2, 5, 6)
Arrays = tuple[NDArray[np.float64], NDArray[np.float64]]


def draw_step(seed: int = 0) -> naive.Step:
    rng = np.random.default_rng(seed)

    def pair(*shape: int) -> Arrays:
        return rng.normal(size=shape), rng.normal(size=shape)

    def probabilities(*shape: int) -> Arrays:
        return rng.uniform(0.01, 0.99, shape), rng.uniform(0.01, 0.99, shape)

    return naive.Step(
        masks=(rng.random(SHAPE) < 0.3).astype(np.float64),
        labelled=pair(*SHAPE),
        teacher=probabilities(*SHAPE),
        weak=pair(*SHAPE),
        strong=pair(*SHAPE),
        passes=probabilities(3, *SHAPE),
        low_level=pair(2, 4, 13, 12),
        bottleneck=pair(2, 6, 2, 3),
    )


def objective(students: Pair, targets: Targets, weights: ObjectiveWeights) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum of Endo-SemiS's terms, and those that count."""
    terms = EndoSemiS(CONFIG).terms(students, targets, weights)
    counted = {name: term for name, term in terms.items() if term.weight}
    loss = torch.stack([term.weight * term.value for term in counted.values()]).sum()
    return loss, {name: term.value.detach() for name, term in counted.items()}


def arrange(step: naive.Step) -> tuple[tuple[StudentOutputs, StudentOutputs], Targets]:
    def leaf(values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values).clone().requires_grad_()

    first, second = (
        StudentOutputs(
            labeled=leaf(step.labelled[n]),
            weak=leaf(step.weak[n]),
            strong=leaf(step.strong[n]),
            low_level=leaf(step.low_level[n]),
            bottleneck=leaf(step.bottleneck[n]),
        )
        for n in (0, 1)
    )
    pseudo = (
        pseudo_label_from_passes(torch.from_numpy(step.passes[0])),
        pseudo_label_from_passes(torch.from_numpy(step.passes[1])),
    )
    labeled = (torch.from_numpy(step.teacher[0]) > 0.5, torch.from_numpy(step.teacher[1]) > 0.5)
    targets = Targets(
        masks=torch.from_numpy(step.masks), labeled=labeled, pseudo=pseudo, joint=joint_pseudo_label(*pseudo)
    )
    return (first, second), targets


@pytest.mark.parametrize("epoch", [0, 3, 9])
def test_the_objective_is_the_papers(epoch: int) -> None:
    step = draw_step(epoch)
    weights = ObjectiveWeights(unsupervised=epoch_weight(epoch), mutual=0.5)
    loss, terms = objective(*arrange(step), weights)
    assert loss.item() == pytest.approx(naive.objective(step, epoch), abs=1e-9)
    assert set(terms) == {
        *(f"{name}_{n}" for name in ("supervised", "cross", "joint", "labeled_cross") for n in (1, 2)),
        *("logit_mse", "low_level_dissimilarity", "bottleneck_kl"),
    }


def leaves(student: StudentOutputs) -> dict[str, Tensor]:
    return {name: leaf for name, leaf in vars(student).items() if leaf is not None}


def gradients(weights: ObjectiveWeights, *without: str) -> tuple[set[str], set[str]]:
    students, targets = arrange(draw_step())
    targets = replace(targets, **dict.fromkeys(without))  # type: ignore[arg-type]
    loss, _ = objective(students, targets, weights)
    loss.backward()  # type: ignore[no-untyped-call]
    first, second = (
        {name for name, leaf in leaves(student).items() if leaf.grad is not None and bool(leaf.grad.abs().max() > 0)}
        for student in students
    )
    return first, second


def test_each_term_moves_its_own_outputs_and_nothing_else() -> None:
    supervised, on = ObjectiveWeights(), ObjectiveWeights(unsupervised=0.5)
    mutual = ObjectiveWeights(mutual=0.5)
    assert gradients(supervised) == ({"labeled"}, {"labeled"})
    assert gradients(on, "joint", "labeled") == ({"labeled", "weak"}, {"labeled", "weak"})
    assert gradients(on, "pseudo", "labeled") == ({"labeled", "strong"}, {"labeled", "strong"})
    assert gradients(on, "pseudo", "joint") == ({"labeled"}, {"labeled"})
    assert gradients(mutual) == ({"labeled", "low_level", "bottleneck"}, {"labeled", "low_level", "bottleneck"})


def test_a_network_learns_from_the_other_one_not_from_itself() -> None:
    students, targets = arrange(draw_step())
    assert targets.pseudo is not None and targets.labeled is not None
    on = ObjectiveWeights(unsupervised=0.5)
    _, terms = objective(students, replace(targets, joint=None), on)
    swapped = replace(targets, joint=None, pseudo=targets.pseudo[::-1], labeled=targets.labeled[::-1])
    _, others = objective(students[::-1], swapped, on)
    for name in ("supervised", "cross", "labeled_cross"):
        assert terms[f"{name}_1"] == others[f"{name}_2"] and terms[f"{name}_2"] == others[f"{name}_1"]
    own = replace(targets, joint=None, pseudo=targets.pseudo[::-1])
    assert objective(students, own, on)[1]["cross_1"] != terms["cross_1"]


def test_no_gradient_of_one_network_reaches_the_other_without_mutual_learning() -> None:
    students, targets = arrange(draw_step())
    _, both = objective(students, targets, ObjectiveWeights(unsupervised=0.5))
    frozen = StudentOutputs(**{name: leaf.detach() for name, leaf in leaves(students[1]).items()})
    loss, _ = objective((students[0], frozen), targets, ObjectiveWeights(unsupervised=0.5))
    loss.backward()  # type: ignore[no-untyped-call]
    assert both and all(leaf.grad is not None for name, leaf in leaves(students[0]).items() if name == "labeled")
    assert all(leaf.grad is None for leaf in leaves(students[1]).values())


def test_the_kept_reduction_weighs_kept_pixels_only() -> None:
    students, targets = arrange(draw_step())
    assert targets.joint is not None
    kept = targets.joint.certain.double().mean().item()
    terms = [
        objective(students, targets, ObjectiveWeights(unsupervised=1.0, reduction=reduction))[1]["joint_1"].item()
        for reduction in ("all", "kept")
    ]
    assert terms[0] == pytest.approx(terms[1] * kept)


def test_soft_dice_is_zero_for_the_right_answer_and_near_one_for_the_opposite() -> None:
    masks = torch.zeros(1, 1, 8, 8)
    masks[..., :4] = 1
    assert soft_dice_loss((masks - 0.5) * 100, masks).item() == pytest.approx(0, abs=1e-6)
    assert soft_dice_loss((0.5 - masks) * 100, masks).item() == pytest.approx(1 - 1 / 65)
