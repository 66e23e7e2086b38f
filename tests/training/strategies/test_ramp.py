"""The weight of the unsupervised terms over the steps of a run."""

from __future__ import annotations

import itertools
import math

import pytest

from endoseg_cli.training.strategies.ramp import epoch_weight, ramp_up, unsupervised_weight
from tests.training import naive


@pytest.mark.parametrize("epoch", range(9))
def test_the_epoch_form_is_the_papers(epoch: int) -> None:
    assert epoch_weight(epoch) == pytest.approx(naive.weight(epoch), abs=1e-15)


def test_the_ramp_starts_above_zero_and_stays_at_its_end() -> None:
    assert epoch_weight(0) == pytest.approx(0.5 * math.exp(-5))
    assert ramp_up(-1.0) == ramp_up(0.0) == math.exp(-5)
    assert ramp_up(1.0) == ramp_up(7.0) == 1.0


def test_nothing_unsupervised_counts_during_the_warm_up() -> None:
    weights = [unsupervised_weight(step, warm_up_steps=10, ramp_steps=20, maximum=0.3) for step in range(40)]
    assert weights[:10] == [0.0] * 10
    assert weights[10] == pytest.approx(0.3 * math.exp(-5))
    assert weights[30:] == [0.3] * 10
    assert all(earlier < later for earlier, later in itertools.pairwise(weights[9:31]))


def test_steps_and_epochs_agree_at_the_start_of_each_epoch() -> None:
    steps = [unsupervised_weight(epoch * 46, warm_up_steps=0, ramp_steps=5 * 46) for epoch in range(7)]
    assert steps == pytest.approx([epoch_weight(epoch) for epoch in range(7)])


def test_a_ramp_of_no_steps_is_at_its_maximum_at_once() -> None:
    assert unsupervised_weight(0, warm_up_steps=0, ramp_steps=0) == 0.5
    assert unsupervised_weight(4, warm_up_steps=5, ramp_steps=0) == 0.0
    assert unsupervised_weight(5, warm_up_steps=5, ramp_steps=0) == 0.5
