"""Score a model on frames with known masks, in one pass whose memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.labels.layout import LabeledRecord
from endoseg_cli.data.labels.mask_reader import read_label
from endoseg_cli.errors import InputError, MissingInputError, UsageError, WeightsError
from endoseg_cli.evaluation.frames.breakdown import SizeBounds, by_group, by_size
from endoseg_cli.evaluation.frames.calibration import Calibration, CalibrationAccumulator
from endoseg_cli.evaluation.frames.gallery import Gallery, GalleryFrame
from endoseg_cli.evaluation.frames.metrics import FrameScore, Summary, score_frame, summarise
from endoseg_cli.evaluation.frames.sweep import Sweep, SweepAccumulator, frame_histogram
from endoseg_cli.networks.running.entropy import binary_entropy
from endoseg_cli.pictures.images import read_image
from endoseg_cli.pictures.redaction import NOTHING, RedactConfig

ROUNDING = 1e-5


@dataclass(frozen=True, kw_only=True)
class FramePrediction:
    """What a model says about one frame, at the frame's own size (H, W)."""

    probability: NDArray[np.float32]
    """Probability of lesion per pixel, in [0, 1]; with two networks their mean."""
    networks: tuple[NDArray[np.float32], ...] = ()
    """Probability of each network alone, for scores per network; empty if not wanted."""
    uncertainty: NDArray[np.float32] | None = None
    """Uncertainty per pixel in nats, 0 to ln 2; None takes the entropy of `probability`."""


Predict = Callable[[Sequence[NDArray[np.uint8]]], Sequence[FramePrediction]]
"""Takes RGB frames (H, W, 3) of any sizes, returns one prediction for each."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How to evaluate."""

    threshold: float = 0.5
    """A pixel is predicted as lesion where its probability is above this."""
    batch_size: int = 4
    """Frames read and predicted together."""
    size_bounds: SizeBounds = field(default_factory=SizeBounds)
    """Borders between small, medium and large lesions."""
    gallery_frames: int = 8
    """Number of best and of worst frames kept as pictures for the report."""
    redact: RedactConfig = NOTHING
    """What of these pictures is blanked; the model sees whole frames."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise UsageError(f"--threshold must lie between 0 and 1, found {self.threshold}")
        if self.batch_size < 1:
            raise UsageError(f"--batch-size must be at least 1, found {self.batch_size}")
        assert self.gallery_frames >= 0, "a gallery has no negative number of frames"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything that is known about a model after seeing the frames with known masks."""

    config: EvaluationConfig
    """How it was evaluated."""
    scores: tuple[FrameScore, ...]
    """One score per frame, in the order of the records."""
    summary: Summary
    """All frames together."""
    networks: tuple[Summary, ...]
    """Each network alone; empty unless the predictions carried them."""
    groups: dict[str, Summary]
    """Each folder, patient or centre alone."""
    sizes: dict[str, Summary]
    """Small, medium and large lesions, and frames without one."""
    sweep: Sweep
    """Scores at every threshold."""
    calibration: Calibration
    """Errors against uncertainty."""
    best: tuple[GalleryFrame, ...]
    """Pictures of the best frames, best first."""
    worst: tuple[GalleryFrame, ...]
    """Pictures of the worst frames, worst first."""


def evaluate(
    records: Sequence[LabeledRecord],
    predict: Predict,
    config: EvaluationConfig,
    *,
    on_frame: Callable[[FrameScore], None] | None = None,
) -> Evaluation:
    """Predict every record's frame and score it at the full size of its mask; `on_frame` is told after each one.

    Raises MissingInputError without records, InputError for a frame that cannot be read or whose mask has another
    size, WeightsError if a probability is not a number between 0 and 1.
    """
    if not records:
        raise MissingInputError("there is no frame with a mask to evaluate")
    run = _Run(config)
    for batch in _batches(records, config.batch_size):
        pairs = [_read_pair(record) for record in batch]
        predictions = predict([image for image, _ in pairs])
        for record, (image, truth), prediction in zip(batch, pairs, predictions, strict=True):
            score = run.add(record, image, truth, prediction)
            if on_frame:
                on_frame(score)
    return run.result()


class _Run:
    """The sums of one evaluation under way."""

    def __init__(self, config: EvaluationConfig) -> None:
        self._config = config
        self._scores: list[FrameScore] = []
        self._network_scores: list[tuple[FrameScore, ...]] = []
        self._sweep = SweepAccumulator()
        self._calibration = CalibrationAccumulator()
        self._gallery = Gallery(config.gallery_frames, config.redact)

    def add(
        self, record: LabeledRecord, image: NDArray[np.uint8], truth: NDArray[np.bool_], predicted: FramePrediction
    ) -> FrameScore:
        probability = predicted.probability
        for each in (probability, *predicted.networks):
            _check_probability(each, truth, record)
        mask = probability > self._config.threshold
        score = score_frame(mask, truth, name=record.name, group=record.group)
        self._scores.append(score)
        self._network_scores.append(
            tuple(score_frame(alone > self._config.threshold, truth) for alone in predicted.networks)
        )
        self._sweep.add(frame_histogram(probability, truth))
        uncertainty = binary_entropy(probability) if predicted.uncertainty is None else predicted.uncertainty
        self._calibration.add(probability=probability, uncertainty=uncertainty, prediction=mask, truth=truth)
        self._gallery.offer(score, image, truth, mask, record.image)
        return score

    def result(self) -> Evaluation:
        return Evaluation(
            config=self._config,
            scores=tuple(self._scores),
            summary=summarise(self._scores),
            networks=tuple(summarise(scores) for scores in zip(*self._network_scores, strict=True)),
            groups=by_group(self._scores),
            sizes=by_size(self._scores, self._config.size_bounds),
            sweep=self._sweep.result(),
            calibration=self._calibration.result(),
            best=tuple(self._gallery.best()),
            worst=tuple(self._gallery.worst()),
        )


def _batches(records: Sequence[LabeledRecord], size: int) -> Iterator[Sequence[LabeledRecord]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]


def _read_pair(record: LabeledRecord) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    image, truth = read_image(record.image), read_label(record.image, record.mask)
    if image.shape[:2] != truth.shape:
        raise InputError(
            f"a mask must have the size of its frame: expected {image.shape[1]} x {image.shape[0]} pixels as in "
            f"{record.image}, found {truth.shape[1]} x {truth.shape[0]} in {record.mask}",
            hint="export the mask at the size of the frame",
        )
    return image, truth


def _check_probability(probability: NDArray[np.float32], truth: NDArray[np.bool_], record: LabeledRecord) -> None:
    assert probability.shape == truth.shape, f"prediction {probability.shape} for a mask {truth.shape}"
    lowest, highest = float(probability.min()), float(probability.max())
    # Resizing may round a hair beyond the range; NaN fails both comparisons.
    if not (lowest >= -ROUNDING and highest <= 1 + ROUNDING):
        raise WeightsError(
            f"the model's probabilities must lie in [0, 1], found {lowest} to {highest} on {record.image}",
            hint="the weights hold NaN or infinite values; train again or fetch the model again",
        )
