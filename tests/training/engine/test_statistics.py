from __future__ import annotations

import pytest
import torch

from endoseg_cli.training.engine.statistics import (
    WATCHED_STEPS,
    CollapseWatch,
    IdleWatch,
    RunningMeans,
    step_statistics,
)
from endoseg_cli.training.strategies.objective import Targets
from endoseg_cli.training.strategies.pseudo_labels import PseudoLabel


def pseudo_label(foreground: int, kept_foreground: int, kept_background: int) -> PseudoLabel:
    """A label of 100 pixels."""
    index = torch.arange(100).view(1, 1, 10, 10)
    label = index < foreground
    certain = (index < kept_foreground) | ((index >= foreground) & (index < foreground + kept_background))
    empty = torch.zeros(1, 1, 10, 10)
    return PseudoLabel(probability=empty, uncertainty=empty, label=label, certain=certain)


def test_statistics_of_labels_pseudo_labels_and_kept_pixels() -> None:
    masks = torch.zeros(1, 1, 10, 10)
    masks[..., 0, :5] = 1
    labels = (pseudo_label(20, 10, 30), pseudo_label(10, 0, 50))
    found = {name: value.item() for name, value in step_statistics(Targets(masks=masks, pseudo=labels)).items()}
    assert found == pytest.approx(
        {
            "foreground_labels": 0.05,
            **{"foreground_pseudo_1": 0.2, "foreground_kept_1": 0.25, "kept_1": 0.4, "kept_foreground_1": 0.5},
            **{"foreground_pseudo_2": 0.1, "foreground_kept_2": 0.0, "kept_2": 0.5, "kept_foreground_2": 0.0},
            "agreement": 2 * 10 / 30,
        }
    )


def test_terms_that_come_late_are_averaged_over_their_own_steps() -> None:
    means = RunningMeans()
    means.add({"supervised_1": 1.0})
    means.add({"supervised_1": 3.0, "cross_1": 0.5})
    assert means.means() == {"supervised_1": 2.0, "cross_1": 0.5}


def test_a_term_that_is_zero_all_the_time_is_idle_but_a_statistic_is_not() -> None:
    found = IdleWatch().warnings({"cross_1": 0.0, "joint_1": 0.1, "kept_1": 0.0, "low_level_dissimilarity": 0.0})
    assert [warning.split()[0] for warning in found] == ["cross_1", "low_level_dissimilarity"]
    assert all("is on, but was exactly zero" in warning for warning in found)


def test_a_term_whose_gradient_is_next_to_nothing_is_idle_once_it_counts_in_full() -> None:
    means = {"cross_1": 0.5, "gradient_supervised_1": 2.0, "gradient_cross_1": 0.5, "gradient_bottleneck_kl": 0.002}
    watch = IdleWatch()
    assert not watch.warnings(means, is_ramping=True)
    assert watch.warnings(means) == ["bottleneck_kl is on, but its gradient is 0.1 % of that of the masks"]
    assert not watch.warnings(means), "told once"
    assert not watch.warnings({**means, "gradient_bottleneck_kl": 0.2})
    assert len(watch.warnings(means)) == 1, "told again after it came back"


def test_a_bottleneck_that_no_longer_varies_is_told() -> None:
    found = IdleWatch().warnings({"bottleneck_spread_1": 0.002, "bottleneck_spread_2": 0.4}, is_ramping=True)
    assert len(found) == 1 and found[0].startswith("bottleneck_spread_1 is 2.0e-03: the reduced bottleneck hardly")


def values(first: float, second: float) -> dict[str, float]:
    return {
        "foreground_labels": 0.1,
        "foreground_pseudo_1": first,
        "foreground_pseudo_2": second,
        "agreement": 1.0,
    }


def test_dying_foreground_is_told_once_for_each_network_and_again_after_it_came_back() -> None:
    watch = CollapseWatch()
    assert [watch.warnings(values(0.08, 0.08)) for _ in range(WATCHED_STEPS)] == [[]] * WATCHED_STEPS
    told = [warning for _ in range(2 * WATCHED_STEPS) for warning in watch.warnings(values(0.08, 0.001))]
    assert len(told) == 1 and "network 2" in told[0] and "10.00 %" in told[0]
    assert not [warning for _ in range(WATCHED_STEPS) for warning in watch.warnings(values(0.08, 0.08))]
    told = [warning for _ in range(WATCHED_STEPS) for warning in watch.warnings(values(0.0, 0.0))]
    assert len(told) == 2


def test_supervised_steps_are_not_judged() -> None:
    watch = CollapseWatch()
    assert not [warning for _ in range(30) for warning in watch.warnings({"foreground_labels": 0.1})]
