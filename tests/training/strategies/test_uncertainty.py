"""Entropy, dynamic threshold and certain pixels, against plain loops and in the corners."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from endoseg_cli.training.strategies.uncertainty import (
    ThresholdRule,
    binary_entropy,
    certain_mask,
    dynamic_threshold,
    expected_entropy,
    mean_probability,
)
from tests.training import naive

SHAPE = (2, 2, 9, 7)


def random_map(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    """Values in [0, ln 2), many of them small, as uncertainties are."""
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).pow(3) * math.log(2)


def small_uncertain_lesion() -> tuple[Tensor, Tensor]:
    """6 % foreground that is less certain everywhere than the background, surest in its middle."""
    row, column = torch.meshgrid(torch.arange(50.0), torch.arange(50.0), indexing="ij")
    distance = torch.hypot(row - 25, column - 25)
    lesion = distance < 7
    certainty_of_lesion = 0.3 + 0.05 * distance
    background = 0.02 + 0.2 * torch.exp(7 - distance)
    return torch.where(lesion, certainty_of_lesion, background)[None, None], lesion[None, None]


def test_entropy_and_mean_of_passes_equal_plain_loops() -> None:
    passes = torch.rand((5, *SHAPE), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    passes[0, 0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    expected = naive.mean_probability(passes.numpy()), naive.expected_entropy(passes.numpy())
    np.testing.assert_allclose(mean_probability(passes).numpy(), expected[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(expected_entropy(passes).numpy(), expected[1], rtol=0, atol=1e-9)


def test_uncertainty_is_the_mean_of_entropies_not_the_entropy_of_the_mean() -> None:
    sure_but_at_odds = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1, 1)
    assert expected_entropy(sure_but_at_odds).item() == 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_entropy_is_exactly_zero_at_both_ends_and_its_gradient_finite(dtype: torch.dtype) -> None:
    logits = torch.tensor([-200.0, -20.0, 0.0, 20.0, 200.0], dtype=dtype, requires_grad=True)
    ends = binary_entropy(torch.tensor([0.0, 1.0], dtype=dtype))
    (gradient,) = torch.autograd.grad(binary_entropy(torch.sigmoid(logits)).sum(), logits)
    assert ends.tolist() == [0.0, 0.0]
    assert torch.isfinite(gradient).all()


def test_entropy_keeps_its_digits_for_tiny_probabilities_in_float32() -> None:
    p = torch.tensor([1e-9, 1e-4, 0.3])
    torch.testing.assert_close(
        binary_entropy(p).double(), torch.tensor([naive.entropy(float(q)) for q in p]).double(), rtol=1e-5, atol=0
    )


def test_entropy_has_the_right_gradient() -> None:
    p = torch.linspace(0.05, 0.95, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(binary_entropy, (p,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_lifted(dtype: torch.dtype) -> None:
    passes = torch.full((5, 1, 1, 8, 8), 0.75, dtype=dtype)
    assert mean_probability(passes).dtype == torch.float32
    assert expected_entropy(passes).mean().item() == pytest.approx(naive.entropy(0.75), rel=1e-6)
    assert dynamic_threshold(passes[0]).dtype == torch.float32


@pytest.mark.parametrize("pixels", [1, 2, 3, 20, 21, 41, 1000])
def test_threshold_is_the_smaller_of_mean_plus_std_and_percentile(pixels: int) -> None:
    spread = random_map(pixels, (2, 3, 1, pixels))
    # Long tails make the percentile the smaller one, flat ones the mean plus one standard deviation.
    for values in (spread, spread.sqrt(), torch.round(spread * 4) / 4):
        expected = [naive.threshold(plane.flatten().tolist()) for plane in values.flatten(0, 1)]
        found = dynamic_threshold(values)
        assert found.shape == (2, 3, 1, 1)
        np.testing.assert_allclose(found.flatten().numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("pixels", [2, 37, 401, 5000])
def test_percentile_is_that_of_torch_quantile(pixels: int) -> None:
    # A few far outliers push mean + std above the percentile, which then is the threshold.
    values = torch.rand((3, pixels), dtype=torch.float64, generator=torch.Generator().manual_seed(pixels)) * 1e-6
    values[:, : max(1, pixels // 30)] = 0.6
    torch.testing.assert_close(
        dynamic_threshold(values[:, None, None]).flatten(), torch.quantile(values, 0.95, dim=1), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 0.6931471])
def test_an_image_of_one_uncertainty_is_kept_whole(dtype: torch.dtype, value: float) -> None:
    assert certain_mask(torch.full((1, 1, 67, 59), value, dtype=dtype)).all()


BY_CLASS = ThresholdRule(scope="pseudo-class")


def test_certain_pixels_equal_plain_loops_in_both_scopes() -> None:
    uncertainty = random_map(3)
    label = random_map(4) > 0.3
    by_image = certain_mask(uncertainty).double().numpy()
    by_class = certain_mask(uncertainty, label, BY_CLASS).double().numpy()
    np.testing.assert_array_equal(by_image, naive.certain(uncertainty.numpy()))
    np.testing.assert_array_equal(by_class, naive.certain(uncertainty.numpy(), label.double().numpy()))


def test_each_image_and_class_has_its_own_threshold() -> None:
    uncertainty = random_map(5)
    alone = certain_mask(uncertainty[1:, 1:])
    torch.testing.assert_close(certain_mask(uncertainty)[1:, 1:], alone)
    torch.testing.assert_close(certain_mask(uncertainty * torch.tensor([1.0, 0.01]).view(2, 1, 1, 1))[1:, 1:], alone)


def test_a_small_uncertain_lesion_survives_only_the_threshold_of_its_own_class() -> None:
    uncertainty, lesion = small_uncertain_lesion()
    by_image = certain_mask(uncertainty)
    by_class = certain_mask(uncertainty, lesion, BY_CLASS)
    assert 0.05 < lesion.float().mean() < 0.07
    assert by_image[lesion].float().mean() < 0.02
    assert by_class[lesion].float().mean() > 0.75
    assert uncertainty[by_class & lesion].max() < uncertainty[~by_class & lesion].min()


@pytest.mark.parametrize("foreground_pixels", [0, 1, 2, 62, 63])
def test_a_class_of_none_or_one_pixel_gives_no_nan_and_keeps_its_surest_pixel(foreground_pixels: int) -> None:
    uncertainty = random_map(6, (1, 1, 9, 7))
    label = torch.zeros_like(uncertainty, dtype=torch.bool)
    label.view(-1)[:foreground_pixels] = True
    assert torch.isfinite(dynamic_threshold(uncertainty, label)).all()
    kept = certain_mask(uncertainty, label, BY_CLASS)
    for group in (label, ~label):
        if group.any():
            assert kept[group][uncertainty[group].argmin()]
        else:
            assert dynamic_threshold(uncertainty, group).item() == 0.0


def test_pixels_less_sure_than_asked_are_never_certain() -> None:
    probability = torch.tensor([0.02, 0.35, 0.45, 0.6, 0.75, 0.98]).view(1, 1, 2, 3)
    uncertainty, label = binary_entropy(probability), probability > 0.5
    # of each class the paper's rule drops the least sure pixel; asked for 0.7, the doubtful ones go as well
    lenient = certain_mask(uncertainty, label, BY_CLASS)
    strict = certain_mask(uncertainty, label, ThresholdRule(scope="pseudo-class", min_confidence=0.7))
    assert strict.flatten().tolist() == [True, False, False, False, True, True]
    assert lenient[strict].all() and lenient.sum() > strict.sum()
