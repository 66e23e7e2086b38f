from __future__ import annotations

import math

import numpy as np
import pytest

from endoseg_cli.networks.running.entropy import binary_entropy


def coin(p: float) -> float:
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def test_entropy_is_that_of_a_coin_in_nats() -> None:
    entropy = binary_entropy(np.array([[0.1, 0.25, 0.5]], np.float32))
    assert entropy[0] == pytest.approx([coin(0.1), coin(0.25), math.log(2)], rel=1e-5)
    assert entropy.shape == (1, 3) and entropy.dtype == np.float32


def test_entropy_of_what_is_certain_is_zero_and_has_no_sign() -> None:
    entropy = binary_entropy(np.array([0, 1], np.float64))
    assert entropy.tolist() == [0, 0] and not np.signbit(entropy).any()
