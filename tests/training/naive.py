"""The whole method of Endo-SemiS once more, in float64 with plain loops: slow, and simple enough to check by eye."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[Array, Array]


def entropy(p: float) -> float:
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def mean_probability(passes: Array) -> Array:
    mean = np.zeros(passes.shape[1:])
    for place in np.ndindex(*mean.shape):
        mean[place] = sum(float(one[place]) for one in passes) / len(passes)
    return mean


def expected_entropy(passes: Array) -> Array:
    mean = np.zeros(passes.shape[1:])
    for place in np.ndindex(*mean.shape):
        mean[place] = sum(entropy(float(one[place])) for one in passes) / len(passes)
    return mean


def threshold(values: Sequence[float]) -> float:
    """min(mean + unbiased std, 95th percentile with linear interpolation) of at least one value."""
    count = len(values)
    mean = sum(values) / count
    std = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1)) if count > 1 else 0.0
    position = 0.95 * (count - 1)
    below = sorted(values)[math.floor(position)]
    above = sorted(values)[math.ceil(position)]
    return min(mean + std, below + (position - math.floor(position)) * (above - below))


def certain(uncertainty: Array, label: Array | None = None) -> Array:
    """U <= T; with a label, by the threshold of the pixel's own class."""
    kept = np.zeros(uncertainty.shape)
    for b, c in np.ndindex(*uncertainty.shape[:2]):
        plane = uncertainty[b, c]
        for place in np.ndindex(*plane.shape):
            peers = [
                float(plane[other])
                for other in np.ndindex(*plane.shape)
                if label is None or label[b, c][other] == label[b, c][place]
            ]
            kept[b, c][place] = float(plane[place] <= threshold(peers))
    return kept


def above_half(probability: Array) -> Array:
    return (probability > 0.5).astype(np.float64)


def joint(probabilities: Pair, uncertainties: Pair) -> Pair:
    probability, uncertainty = np.zeros_like(probabilities[0]), np.zeros_like(probabilities[0])
    for place in np.ndindex(*probability.shape):
        surer = 0 if uncertainties[0][place] <= uncertainties[1][place] else 1
        probability[place] = probabilities[surer][place]
        uncertainty[place] = uncertainties[surer][place]
    return probability, uncertainty


def bce(logits: Array, target: Array, keep: Array | None = None, over_kept: bool = False) -> float:
    total, kept = 0.0, 0.0
    for place in np.ndindex(*logits.shape):
        p, y = 1 / (1 + math.exp(-logits[place])), float(target[place])
        counts = 1.0 if keep is None else float(keep[place])
        total -= counts * (y * math.log(p) + (1 - y) * math.log(1 - p))
        kept += counts
    return total / (max(kept, 1.0) if over_kept else logits.size)


def mean_squared_difference(first: Array, second: Array) -> float:
    return sum((float(a) - float(b)) ** 2 for a, b in zip(first.flat, second.flat, strict=True)) / first.size


def scaled(first: Array, second: Array) -> Pair:
    """Both to [0, 1] per image by the smallest and largest value of either."""
    results = (np.zeros_like(first), np.zeros_like(second))
    for b in range(len(first)):
        low = min(first[b].min(), second[b].min())
        high = max(first[b].max(), second[b].max())
        for result, values in zip(results, (first, second), strict=True):
            result[b] = (values[b] - low) / max(high - low, 1e-6)
    return results


def ssim(first: Array, second: Array) -> float:
    first, second = scaled(first, second)
    scores = []
    for b, c in np.ndindex(*first.shape[:2]):
        for x, y, weights in windows(first[b, c], second[b, c]):
            mean_x, mean_y = float((weights * x).sum()), float((weights * y).sum())
            variances = float((weights * (x - mean_x) ** 2).sum() + (weights * (y - mean_y) ** 2).sum())
            covariance = float((weights * (x - mean_x) * (y - mean_y)).sum())
            luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
            scores.append(luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2))
    return sum(scores) / len(scores)


def windows(x: Array, y: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Every place of an 11 x 11 Gaussian window (or the largest odd one) with what lies under it."""
    rows, columns = (min(11, side if side % 2 else side - 1) for side in x.shape)
    weights = np.zeros((rows, columns))
    for i, j in np.ndindex(rows, columns):
        weights[i, j] = math.exp(-((i - rows // 2) ** 2 + (j - columns // 2) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    for i, j in itertools.product(range(x.shape[0] - rows + 1), range(x.shape[1] - columns + 1)):
        yield x[i : i + rows, j : j + columns], y[i : i + rows, j : j + columns], weights


def kl(first: Array, second: Array) -> float:
    """KL(first || second) of channel-softmaxes, summed over positions, divided by the batch size."""
    total = 0.0
    for b, i, j in itertools.product(range(first.shape[0]), range(first.shape[2]), range(first.shape[3])):
        p, q = (np.exp(values[b, :, i, j]) / np.exp(values[b, :, i, j]).sum() for values in (first, second))
        total += sum(float(a) * math.log(float(a) / float(c)) for a, c in zip(p, q, strict=True))
    return total / len(first)


def mutual(logits: Pair, low_level: Pair, bottleneck: Pair, own: int) -> float:
    """L_mutual of network `own`, 0 or 1."""
    divergence = kl(bottleneck[1 - own], bottleneck[own])
    return mean_squared_difference(*logits) + 0.5 * (1 - ssim(*low_level) + divergence)


def weight(epoch: int) -> float:
    return 0.5 * math.exp(-5 * (1 - min(epoch, 5) / 5) ** 2)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What the two networks gave in one training step; each pair is networks 1 and 2."""

    masks: Array
    """y_l, (B, C, H, W)."""
    labelled: Pair
    """Logits of the labelled frames, (B, C, H, W)."""
    teacher: Pair
    """Probabilities of the labelled frames from a single pass in eval mode."""
    weak: Pair
    """Logits of the weak view w1 after CutMix."""
    strong: Pair
    """Logits of the strong view s1 after CutMix."""
    passes: Pair
    """Probabilities of K stochastic passes, (K, B, C, H, W), after CutMix."""
    low_level: Pair
    """First-stage features of the labelled frames."""
    bottleneck: Pair
    """Reduced bottlenecks of the labelled frames."""


def objective(step: Step, epoch: int) -> float:
    """L(1) + L(2), with the paper's threshold per image."""
    probabilities = (mean_probability(step.passes[0]), mean_probability(step.passes[1]))
    uncertainties = (expected_entropy(step.passes[0]), expected_entropy(step.passes[1]))
    joint_probability, joint_uncertainty = joint(probabilities, uncertainties)
    total = 0.0
    for own, other in ((0, 1), (1, 0)):
        cross = bce(step.weak[own], above_half(probabilities[other]), certain(uncertainties[other]))
        together = bce(step.strong[own], above_half(joint_probability), certain(joint_uncertainty))
        on_labelled = bce(step.labelled[own], above_half(step.teacher[other]))
        total += bce(step.labelled[own], step.masks)
        total += weight(epoch) * (cross + together + on_labelled)
        total += 0.5 * mutual(step.labelled, step.low_level, step.bottleneck, own)
    return total
