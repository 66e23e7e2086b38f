from __future__ import annotations

import math

import torch

from endoseg_cli.networks.running.ensemble import combine
from endoseg_cli.training.strategies.uncertainty import binary_entropy, expected_entropy


def test_probability_is_the_mean_of_the_sigmoids() -> None:
    first, second = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    probability, _ = combine([first, second])
    torch.testing.assert_close(probability, (torch.sigmoid(first) + torch.sigmoid(second)) / 2)


def test_uncertainty_is_the_expected_entropy_of_the_networks() -> None:
    logits = torch.randn(2, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 3
    _, uncertainty = combine(list(logits))
    torch.testing.assert_close(uncertainty, expected_entropy(torch.sigmoid(logits)), atol=1e-6, rtol=1e-5)


def test_sure_networks_that_disagree_are_not_uncertain_but_their_mean_is() -> None:
    sure = torch.full((1, 1, 2, 2), 20.0)
    probability, uncertainty = combine([sure, -sure])
    assert uncertainty.max() < 1e-6
    assert math.isclose(binary_entropy(probability).mean().item(), math.log(2), rel_tol=1e-6)


def test_saturated_and_half_precision_logits_stay_finite() -> None:
    probability, uncertainty = combine([torch.tensor([[[[60000.0, -60000.0]]]]).half()])
    assert probability.dtype == torch.float32
    assert torch.isfinite(uncertainty).all()
    assert uncertainty.min() >= 0
