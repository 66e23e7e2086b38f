"""Spoil the predictions of a window as networks fail in video: emptied, invented, eroded, shifted, half lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.networks.running.entropy import binary_entropy

Maps = NDArray[np.float32]  # (N, H, W), one plane per frame
Failure = Literal["emptied", "invented", "eroded", "dilated", "shifted", "half lost", "weakened"]
FAILURES: tuple[Failure, ...] = get_args(Failure)
LIKELY = (0.22, 0.3, 0.08, 0.06, 0.1, 0.14, 0.1)
"""How often each failure is drawn."""
LENGTHS = (0.55, 0.3, 0.15)
"""How often a failure lasts one, two or three frames."""
UNTOUCHED_SHARE = 0.35
"""Share of the windows that are left alone, so that what is right is kept."""
TRUTH_SHARE = 0.15
"""Share of the windows whose predictions are made from the truth before they are spoiled."""
PERSISTENT_SHARE = 0.1
"""Share of the windows without a lesion in which one is invented in all frames: nothing around it contradicts."""
CENTRE_SHARE = 0.65
"""Share of the failures that hit the corrected frame; the others hit neighbours alone."""
CHANGED = 0.02
"""Uncertainty is computed anew where a probability moved by more."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What the networks are made to say of a window."""

    probability: Maps
    """(N, H, W)."""
    uncertainty: Maps
    """(N, H, W), in nats."""


def spoil_window(said: Predictions, truth: NDArray[np.bool_], centre: int, rng: np.random.Generator) -> Predictions:
    """Return the predictions of a window as training shows them: untouched, or with one failure (see the constants).

    `truth` (N, H, W) stands in for the predictions in some windows. A window of one frame is never spoiled: nothing in
    it tells a failure from the truth.
    """
    if rng.random() < TRUTH_SHARE:
        said = from_truth(truth, rng)
    if rng.random() < UNTOUCHED_SHARE or len(truth) < 2:
        return said
    if not truth.any() and rng.random() < PERSISTENT_SHARE:
        return persist(said, rng)
    failure = FAILURES[int(rng.choice(len(FAILURES), p=LIKELY))]
    return apply_failure(said, failure, draw_frames(len(truth), centre, rng), rng)


def persist(said: Predictions, rng: np.random.Generator) -> Predictions:
    """Return predictions with a lesion invented in all frames, drifting and of changing strength, as on a fold."""
    blob, drift = _blob(said.probability.shape[1:], rng), rng.normal(0, 0.02, 2) * said.probability.shape[1]
    size = (blob.shape[1], blob.shape[0])
    changed = said.probability.copy()
    for index in range(len(changed)):
        move = np.array([[1, 0, index * drift[0]], [0, 1, index * drift[1]]])
        moved = np.asarray(cv2.warpAffine(blob, move, size), np.float32) * np.float32(rng.uniform(0.75, 1))
        changed[index] = np.maximum(changed[index], moved)
    return Predictions(probability=changed, uncertainty=_uncertainty(said, changed, rng))


def draw_frames(count: int, centre: int, rng: np.random.Generator) -> range:
    """Return the run of frames that a failure lasts; it never takes the whole window."""
    length = min(int(rng.choice(len(LENGTHS), p=LENGTHS)) + 1, count - 1)
    if rng.random() < CENTRE_SHARE:
        first = centre - int(rng.integers(length))
    else:
        first = int(rng.integers(count - length + 1))
    first = min(max(first, 0), count - length)
    return range(first, first + length)


def apply_failure(said: Predictions, failure: Failure, frames: range, rng: np.random.Generator) -> Predictions:
    """Return the predictions with a failure in some frames; where nothing is predicted, a lesion is invented."""
    if not (said.probability[frames.start : frames.stop] > 0.5).any():
        failure = "invented"
    changed = said.probability.copy()
    draws = int(rng.integers(2**31))
    for index in frames:
        again = np.random.default_rng(draws)  # a failure that lasts is the same in all its frames
        changed[index] = _fail(changed[index], failure, again)
    return Predictions(probability=changed, uncertainty=_uncertainty(said, changed, rng))


def from_truth(truth: NDArray[np.bool_], rng: np.random.Generator) -> Predictions:
    """Return sure predictions that are the truth but for a soft rim."""
    sigma, confidence = rng.uniform(0.5, 3), rng.uniform(0.9, 0.9999)
    soft = np.stack([cv2.GaussianBlur(plane.astype(np.float32), (0, 0), sigma) for plane in truth])
    probability = np.clip(soft * confidence, 10 ** rng.uniform(-6, -3), 1).astype(np.float32)
    return Predictions(probability=probability, uncertainty=binary_entropy(probability))


def _uncertainty(said: Predictions, changed: Maps, rng: np.random.Generator) -> Maps:
    """Return the uncertainty, computed anew where the prediction was changed: failing networks may be quite sure."""
    moved = np.abs(changed - said.probability) > CHANGED
    sure = np.float32(rng.uniform(0.5, 1))
    uncertainty: Maps = np.where(moved, binary_entropy(changed) * sure, said.uncertainty).astype(np.float32)
    return uncertainty


def _fail(plane: Maps, failure: Failure, rng: np.random.Generator) -> Maps:
    match failure:
        case "emptied":
            return plane * np.float32(10 ** -rng.uniform(1, 5))
        case "invented":
            return np.maximum(plane, _blob(plane.shape, rng))
        case "eroded" | "dilated":
            change = cv2.erode if failure == "eroded" else cv2.dilate
            side = 2 * max(int(rng.uniform(0.2, 0.6) * _radius(plane)), 1) + 1
            return np.asarray(change(plane, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))), np.float32)
        case "shifted":
            angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1.2) * _radius(plane)
            move = np.array([[1, 0, far * np.cos(angle)], [0, 1, far * np.sin(angle)]])
            size = (plane.shape[1], plane.shape[0])
            return np.asarray(cv2.warpAffine(plane, move, size, borderMode=cv2.BORDER_REPLICATE), np.float32)
        case "half lost":
            return plane * (1 - _half_plane(plane, rng) * np.float32(1 - 10 ** -rng.uniform(1.5, 4)))
        case "weakened":
            odds = np.clip(plane, 1e-7, 1 - 1e-7)
            logit = np.log(odds / (1 - odds)) - np.float32(rng.uniform(2, 7))
            weakened: Maps = np.float32(1) / (1 + np.exp(-logit))
            return weakened


def _radius(plane: Maps) -> float:
    """Return the radius of a disc as large as what is predicted."""
    return float(np.sqrt((plane > 0.5).sum() / np.pi))


def _blob(shape: tuple[int, ...], rng: np.random.Generator) -> Maps:
    """Return the probability of an invented lesion: an ellipse with a soft and uneven rim."""
    height, width = shape
    layer = np.zeros((height, width), np.float32)
    axes = [max(round(side), 1) for side in rng.uniform(0.03, 0.16, 2) * width]
    centre = (int(rng.integers(width)), int(rng.integers(height)))
    cv2.ellipse(layer, centre, axes, rng.uniform(0, 180), 0, 360, 1.0, -1)
    layer = cv2.GaussianBlur(layer, (0, 0), rng.uniform(0.5, 4)).astype(np.float32)
    coarse = rng.uniform(0.7, 1, (6, 6)).astype(np.float32)
    uneven = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    blob: Maps = np.clip(layer * uneven * np.float32(rng.uniform(0.7, 1)), 0, 0.9999).astype(np.float32)
    return blob


def _half_plane(plane: Maps, rng: np.random.Generator) -> Maps:
    """Return 1 on one side of a line through the prediction and 0 on the other, with a soft step."""
    rows, columns = np.nonzero(plane > 0.5)
    if not len(rows):
        return np.zeros_like(plane)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[: plane.shape[0], : plane.shape[1]].astype(np.float32)
    distance = (x - columns.mean()) * np.cos(angle) + (y - rows.mean()) * np.sin(angle)
    beyond = distance - rng.uniform(-0.5, 0.5) * _radius(plane)
    return np.asarray(1 / (1 + np.exp(-np.clip(beyond, -30, 30))), np.float32)
