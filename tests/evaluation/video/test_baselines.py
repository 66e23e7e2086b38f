from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from endoseg_cli.evaluation.video.baselines import BASELINES, FlowMean, TemporalMean, TemporalMedian


def frames(levels: list[float]) -> list[tuple[Tensor, Tensor]]:
    return [(torch.zeros(1, 3, 32, 32), torch.full((1, 2, 32, 32), level)) for level in levels]


def fused(baseline: TemporalMedian, pairs: list[tuple[Tensor, Tensor]], centre: int) -> Tensor:
    window = [baseline.encode(image, probability, probability) for image, probability in pairs]
    return torch.sigmoid(baseline.fuse(window, centre, [0.0] * len(window)))


@pytest.mark.parametrize(
    ("baseline", "expected"), [(TemporalMedian(), 0.3), (TemporalMean(), 0.42), (FlowMean(), 0.42)]
)
def test_levels_over_a_window(baseline: TemporalMedian, expected: float) -> None:
    result = fused(baseline, frames([0.9, 0.1, 0.2, 0.6, 0.3]), 2)
    assert result.shape == (1, 2, 32, 32)
    torch.testing.assert_close(result[..., 8:-8, 8:-8], torch.full((1, 2, 16, 16), expected), atol=1e-4, rtol=0)


def test_the_median_of_an_even_window_lies_between() -> None:
    assert fused(TemporalMedian(), frames([0.1, 0.3, 0.5, 0.9]), 0).mean() == pytest.approx(0.4, abs=1e-4)


def test_the_flow_mean_follows_the_picture() -> None:
    noise = np.kron(np.random.default_rng(0).normal(size=(20, 20)), np.ones((4, 4))).astype(np.float32)
    pairs = []
    for shift in (0, 3, 6):
        spot = np.zeros((80, 80), np.float32)
        spot[30:50, 20 + shift : 40 + shift] = 1
        picture = torch.from_numpy(np.roll(noise, shift, axis=1)).expand(1, 3, 80, 80)
        pairs.append((picture, torch.from_numpy(spot)[None, None]))
    truth = pairs[1][1] > 0.5
    sharp, blurred = fused(FlowMean(), pairs, 1), fused(TemporalMean(), pairs, 1)
    assert (sharp[truth].mean() - sharp[~truth].mean()) > (blurred[truth].mean() - blurred[~truth].mean()) + 0.05


def test_tables_know_them_by_name() -> None:
    assert list(BASELINES) == ["median over time", "mean over time", "mean along the flow"]
