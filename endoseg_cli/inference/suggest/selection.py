"""Choose the frames most worth labelling: unsure ones that stand for many others, and not one moment many times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAME_MOMENT_SECONDS = 5.0
"""Frames of one video closer than this count as alike however they look, the more the closer they are."""
POOL = 3000
"""How many frames are compared with each other; of more, the best of each stretch is taken."""
Numbers = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """N frames to choose from, those of a video one after the other."""

    uncertainty: Numbers
    """(N,), from 0 to 1."""
    disagreement: Numbers | None
    """(N,), from 0 to 1; None with one network."""
    features: NDArray[np.floating]
    """(N, D), similar for frames that look alike."""
    source: NDArray[np.int64]
    """(N,), the number of the video that a frame is from."""
    seconds: Numbers
    """(N,), when it is shown; not a number for single pictures."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One chosen frame."""

    index: int
    """Its place among the candidates."""
    score: float
    """Its mean rank by uncertainty and disagreement, from 0 to 1 (the most unsure)."""
    novelty: float
    """From 0 (like a frame that is labelled or chosen before it) to 1 (unlike all of them)."""


def choose(candidates: Candidates, count: int, labelled: NDArray[np.floating] | None = None) -> list[Choice]:
    """Choose up to `count` frames, the best first; `labelled` (M, D) are features of frames that have masks already.

    Facility location, greedily: each frame to come is the one whose own score times the score that it newly covers is
    largest. A frame covers those that look like it (cosine of the features less their mean) or are shown at the same
    moment, so that a frame like nothing else gains little and copies gain nothing. Deterministic.
    """
    scores = rank_scores(candidates)
    pool = thin(scores, POOL)
    similarity, covered = _similarities(candidates, pool, labelled)
    weights = scores[pool]
    left = np.ones(len(pool), dtype=np.bool_)
    chosen: list[Choice] = []
    for _ in range(min(count, len(pool))):
        gains = weights * (np.maximum(similarity - covered, 0) @ weights)
        best = int(np.argmax(np.where(left, gains, -1)))
        novelty = float(1 - covered[best])
        chosen.append(Choice(index=int(pool[best]), score=float(weights[best]), novelty=novelty))
        left[best] = False
        covered = np.maximum(covered, similarity[best])
    return chosen


def rank_scores(candidates: Candidates) -> Numbers:
    """Return (N,) scores from 0 to 1: ranks, as the two measures have scales of their own that differ by model."""
    measures = [candidates.uncertainty, candidates.disagreement]
    ranks = [_ranks(measure) for measure in measures if measure is not None]
    return np.asarray(np.mean(ranks, axis=0), dtype=np.float32)


def thin(scores: Numbers, most: int) -> NDArray[np.int64]:
    """Return the places of at most `most` frames: the best-scored one of each of as many equal stretches."""
    stretches = np.array_split(np.arange(len(scores)), min(most, len(scores)))
    return np.array([stretch[np.argmax(scores[stretch])] for stretch in stretches], dtype=np.int64)


def _ranks(values: Numbers) -> Numbers:
    """Return each value's rank as a share, equal values sharing theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    ranks = (upper - (counts - 1) / 2)[inverse] / len(values)
    return np.asarray(ranks, dtype=np.float32)


def _similarities(
    candidates: Candidates, pool: NDArray[np.int64], labelled: NDArray[np.floating] | None
) -> tuple[Numbers, Numbers]:
    """Return how alike the frames of the pool are (P, P), and how like to a labelled frame each is (P,); 0 to 1."""
    features = candidates.features[pool].astype(np.float32)
    mean = features.mean(axis=0)
    mine = _directions(features - mean)
    similarity = np.clip(mine @ mine.T, 0, 1)
    source, seconds = candidates.source[pool], candidates.seconds[pool]
    apart = np.abs(seconds[:, None] - seconds[None])
    together = (source[:, None] == source[None]) & (apart < SAME_MOMENT_SECONDS)
    similarity = np.maximum(similarity, np.where(together, 1 - apart / SAME_MOMENT_SECONDS, 0))
    np.fill_diagonal(similarity, 1)
    covered = np.zeros(len(pool), dtype=np.float32)
    if labelled is not None and len(labelled):
        covered = np.clip(mine @ _directions(labelled.astype(np.float32) - mean).T, 0, 1).max(axis=1)
    return np.asarray(similarity, dtype=np.float32), np.asarray(covered, dtype=np.float32)


def _directions(features: Sequence[Numbers] | Numbers) -> Numbers:
    rows = np.asarray(features, dtype=np.float32)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), dtype=np.float32)
