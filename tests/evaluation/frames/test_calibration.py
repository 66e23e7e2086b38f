from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.evaluation.frames.calibration import BINS, FINE, Calibration, CalibrationAccumulator, auroc
from endoseg_cli.networks.running.entropy import binary_entropy


def make_frames() -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    rng = np.random.default_rng(0)
    frames = []
    for size in ((31, 17), (12, 40)):
        probability = rng.random(size).astype(np.float32)
        frames.append((probability, rng.random(size) < probability**2))
    return frames


def calibration_of(frames: list[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> Calibration:
    accumulator = CalibrationAccumulator()
    for probability, truth in frames:
        accumulator.add(
            probability=probability, uncertainty=binary_entropy(probability), prediction=probability > 0.5, truth=truth
        )
    return accumulator.result()


def test_error_by_uncertainty_equals_brute_force() -> None:
    frames = make_frames()
    calibration = calibration_of(frames)
    uncertainty = np.concatenate([binary_entropy(p).ravel() for p, _ in frames])
    wrong = np.concatenate([((p > 0.5) != truth).ravel() for p, truth in frames])
    edges = calibration.uncertainty_edges
    edges[-1] += 1
    for b in range(BINS):
        inside = (uncertainty >= edges[b]) & (uncertainty < edges[b + 1])
        assert calibration.pixel_share[b] == pytest.approx(inside.mean())
        assert calibration.error_rate[b] == pytest.approx(wrong[inside].mean(), nan_ok=True)


def test_reliability_equals_brute_force() -> None:
    frames = make_frames()
    calibration = calibration_of(frames)
    p = np.concatenate([p.ravel() for p, _ in frames]).astype(np.float64)
    truth = np.concatenate([truth.ravel() for _, truth in frames])
    error = 0.0
    for b in range(BINS):
        inside = (p >= b / BINS) & (p < (b + 1) / BINS)
        assert calibration.mean_probability[b] == pytest.approx(p[inside].mean())
        assert calibration.lesion_frequency[b] == pytest.approx(truth[inside].mean())
        assert calibration.probability_share[b] == pytest.approx(inside.mean())
        error += inside.mean() * abs(p[inside].mean() - truth[inside].mean())
    assert calibration.expected_calibration_error == pytest.approx(error)


def test_auroc_equals_comparing_every_pair() -> None:
    frames = make_frames()
    uncertainty = np.concatenate([binary_entropy(p).ravel() for p, _ in frames])
    bins = np.minimum((uncertainty / np.float32(math.log(2)) * (BINS * FINE)).astype(int), BINS * FINE - 1)
    wrong = np.concatenate([((p > 0.5) != truth).ravel() for p, truth in frames])
    high, low = bins[wrong][:, None], bins[~wrong][None, :]
    assert calibration_of(frames).auroc == pytest.approx(((high > low) + (high == low) / 2).mean())


def test_auroc_of_perfect_useless_and_undefined_scores() -> None:
    low, high, none = np.array([5, 0]), np.array([0, 3]), np.array([0, 0])
    assert auroc(low, high) == 1
    assert auroc(high, low) == 0
    assert auroc(low, low) == 0.5
    assert math.isnan(auroc(low, none))


def test_certain_and_right_has_no_error_and_empty_bins_are_undefined() -> None:
    truth = np.eye(8, dtype=bool)
    calibration = calibration_of([(truth.astype(np.float32), truth)])
    assert calibration.expected_calibration_error == 0
    assert calibration.error_rate[0] == 0
    assert calibration.pixel_share[0] == 1
    assert np.isnan(calibration.error_rate[1:]).all()
    assert math.isnan(calibration.auroc)
