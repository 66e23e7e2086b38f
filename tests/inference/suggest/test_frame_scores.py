from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.suggest.frame_scores import UNSURE_SHARE, FrameScorer, most_uncertain
from tests.data.drawing import draw_frame
from tests.networks.tiny import calibrated_bundle, constant_bundle

SIZE = (64, 64)


def scorer(*logits: float) -> FrameScorer:
    return FrameScorer(constant_bundle(*logits), device="cpu")


def test_sure_networks_that_agree_have_nothing_to_learn() -> None:
    (score,) = scorer(9.0, 9.0).score([draw_frame(0, SIZE)])
    assert score.uncertainty < 0.01 and score.disagreement == pytest.approx(0, abs=1e-3)
    assert score.probability.shape == (1, 64, 64)


def test_a_coin_s_toss_is_one_and_contradiction_is_seen() -> None:
    (score,) = scorer(0.0, 0.0).score([draw_frame(0, SIZE)])
    assert score.uncertainty == pytest.approx(1) and score.disagreement == pytest.approx(0, abs=1e-3)
    (score,) = scorer(9.0, -9.0).score([draw_frame(0, SIZE)])
    assert score.uncertainty < 0.01, "each is sure of itself"
    assert score.disagreement == pytest.approx(1 - 0.01 / 1.01, abs=1e-3)


def test_networks_that_see_next_to_nothing_agree() -> None:
    (score,) = scorer(-6.0, -9.0).score([draw_frame(0, SIZE)])
    assert score.disagreement is not None and score.disagreement < 0.01


def test_uncertainty_is_that_of_the_unsure_pixels_however_few_they_are() -> None:
    entropy = torch.zeros(2, 1, 20, 20)
    entropy[0, 0, :2, :10] = math.log(2)  # 5 % of the pixels
    entropy[1, 0, 0, 0] = math.log(2)
    assert UNSURE_SHARE == 0.05
    torch.testing.assert_close(most_uncertain(entropy), torch.tensor([1.0, 1 / 20]))


def test_one_network_has_no_disagreement() -> None:
    scores = scorer(0.5).score([draw_frame(seed, SIZE) for seed in range(2)])
    assert [score.disagreement for score in scores] == [None, None]


def test_the_probability_is_the_predictor_s_and_features_tell_frames_apart() -> None:
    bundle = calibrated_bundle()
    frames = [draw_frame(seed, SIZE) for seed in (0, 1, 0)]
    scores = FrameScorer(bundle, device="cpu").score(frames)
    expected = Predictor(bundle, device="cpu").predict(frames)
    np.testing.assert_allclose(np.stack([score.probability for score in scores]), expected, atol=1e-5)
    first, other, again = (score.feature.astype(np.float32) for score in scores)
    assert first.shape == (640,), "the bottlenecks of both encoders"
    assert np.allclose(first, again, atol=1e-3) and np.abs(first - other).max() > 10 * np.abs(first - again).max()
