from __future__ import annotations

import numpy as np
import pytest

from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.networks.running.entropy import binary_entropy
from tests.networks.tiny import constant_bundle, tiny_bundle


@pytest.mark.parametrize("batch_size", [2, 4])
def test_the_uncertainty_comes_with_the_same_probability(batch_size: int) -> None:
    pictures = [np.random.default_rng(index).integers(0, 256, (64, 64, 3), np.uint8) for index in range(3)]
    predictor = Predictor(tiny_bundle(class_names=("a", "b")), device="cpu", batch_size=batch_size)
    probability, uncertainty = predictor.predict_with_uncertainty(pictures)
    np.testing.assert_allclose(probability, predictor.predict(pictures), atol=1e-6)
    assert uncertainty.shape == probability.shape == (3, 2, 64, 64)
    assert uncertainty.min() >= 0 and uncertainty.max() <= np.log(2) + 1e-6


def test_it_is_the_mean_of_the_networks_entropies() -> None:
    predictor = Predictor(constant_bundle(2.0, -1.0), device="cpu")
    _, uncertainty = predictor.predict_with_uncertainty([np.zeros((64, 64, 3), np.uint8)])
    p = (1 / (1 + np.exp(-np.array([2.0, -1.0])))).astype(np.float32)
    assert uncertainty.mean() == pytest.approx(binary_entropy(p).mean(), rel=1e-4)
