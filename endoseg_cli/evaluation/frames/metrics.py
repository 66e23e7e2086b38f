"""Overlap of a predicted mask with the true one, per frame, and what the frames say together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMOOTHING = 1e-5
"""Added to numerator and denominator of Dice and IoU, so two empty masks give 1 (the paper's definition)."""


@dataclass(frozen=True, kw_only=True)
class FrameScore:
    """Scores of one frame; sensitivity or specificity is NaN where it is not defined."""

    name: str
    """Name of the frame, unique in its data set."""
    group: str
    """Patient or video the frame belongs to (its folder); empty in a flat folder."""
    tp: int
    """Lesion pixels predicted as lesion."""
    fp: int
    """Background pixels predicted as lesion."""
    fn: int
    """Lesion pixels predicted as background."""
    tn: int
    """Background pixels predicted as background."""
    dice: float
    """(2 |A n B| + 1e-5) / (|A| + |B| + 1e-5); 1 where both masks are empty."""
    iou: float
    """(|A n B| + 1e-5) / (|A u B| + 1e-5); 1 where both masks are empty."""
    sensitivity: float
    """TP / (TP + FN); NaN on a frame without lesion."""
    specificity: float
    """TN / (TN + FP); NaN on a frame that is all lesion."""
    present: bool
    """The true mask has a foreground pixel."""
    predicted: bool
    """The predicted mask has a foreground pixel."""
    lesion_fraction: float
    """Share of the frame's pixels that the true mask covers."""


@dataclass(frozen=True, kw_only=True)
class MeanStd:
    """Mean and spread of one measure over the frames on which it is defined."""

    mean: float
    """Mean over these frames; NaN where there is none."""
    std: float
    """Sample standard deviation (ddof = 1) over these frames; NaN below two frames."""
    frames: int
    """Number of frames on which the measure is defined."""


@dataclass(frozen=True, kw_only=True)
class ImageLevel:
    """Is a lesion in the frame or not: any foreground pixel counts; NaN where a ratio is 0 / 0."""

    tp: int
    """Frames with a lesion in which something was predicted (wherever it lies)."""
    fp: int
    """Frames without lesion in which something was predicted."""
    fn: int
    """Frames with a lesion in which nothing was predicted."""
    tn: int
    """Frames without lesion in which nothing was predicted."""
    precision: float
    """TP / (TP + FP)."""
    recall: float
    """TP / (TP + FN)."""
    f1: float
    """2 TP / (2 TP + FP + FN)."""
    accuracy: float
    """(TP + TN) / all frames."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a set of frames says together."""

    frames: int
    """Number of frames."""
    frames_with_lesion: int
    """Number of frames whose true mask has a foreground pixel."""
    dice: MeanStd
    """Dice over all frames; a frame without lesion scores 1 if kept empty, else nearly 0."""
    dice_with_lesion: MeanStd
    """Dice over the frames with a lesion alone, so that empty frames cannot flatter it."""
    iou: MeanStd
    """Intersection over union over all frames."""
    sensitivity: MeanStd
    """Sensitivity over the frames with a lesion."""
    sensitivity_of_all: MeanStd
    """Sensitivity over all frames, 1 on a frame without lesion, as the authors of Endo-SemiS count it."""
    specificity: MeanStd
    """Specificity over the frames that have background."""
    empty_frames: int
    """Number of frames without lesion."""
    empty_frames_kept: int
    """Number of frames without lesion in which nothing was predicted."""
    empty_frames_kept_share: float
    """`empty_frames_kept / empty_frames`; NaN where every frame has a lesion."""
    image_level: ImageLevel
    """Precision, recall, F1 and accuracy of "a lesion is in this frame"."""
    pooled_dice: float
    """Dice of all pixels of all frames taken as one mask (micro average)."""


def score_frame(
    prediction: NDArray[np.bool_], truth: NDArray[np.bool_], *, name: str = "", group: str = ""
) -> FrameScore:
    """Score one predicted mask against the true one; both are boolean and of the same shape (H, W)."""
    assert prediction.shape == truth.shape, f"shapes differ: {prediction.shape} and {truth.shape}"
    assert prediction.dtype == np.bool_ and truth.dtype == np.bool_, "masks must be boolean"
    tp = int(np.count_nonzero(prediction & truth))
    fp = int(np.count_nonzero(prediction)) - tp
    fn = int(np.count_nonzero(truth)) - tp
    return score_counts(tp=tp, fp=fp, fn=fn, tn=truth.size - tp - fp - fn, name=name, group=group)


def score_counts(*, tp: int, fp: int, fn: int, tn: int, name: str = "", group: str = "") -> FrameScore:
    """Score one frame from its pixel counts, for callers that count on the device."""
    pixels = tp + fp + fn + tn
    assert pixels > 0, "a frame has pixels"
    return FrameScore(
        name=name,
        group=group,
        tp=tp,
        fp=fp,
        fn=fn,
        tn=tn,
        dice=dice_of_counts(tp, fp, fn),
        iou=(tp + SMOOTHING) / (tp + fp + fn + SMOOTHING),
        sensitivity=_ratio(tp, tp + fn),
        specificity=_ratio(tn, tn + fp),
        present=tp + fn > 0,
        predicted=tp + fp > 0,
        lesion_fraction=(tp + fn) / pixels,
    )


def dice_of_counts(tp: int, fp: int, fn: int) -> float:
    """Dice from pixel counts: (2 TP + 1e-5) / (2 TP + FP + FN + 1e-5)."""
    return (2 * tp + SMOOTHING) / (2 * tp + fp + fn + SMOOTHING)


def summarise(scores: Sequence[FrameScore]) -> Summary:
    """Summarise the scores of some frames; the mean of a measure leaves out frames on which it is not defined."""
    with_lesion = [score for score in scores if score.present]
    empty = [score for score in scores if not score.present]
    kept = sum(not score.predicted for score in empty)
    return Summary(
        frames=len(scores),
        frames_with_lesion=len(with_lesion),
        dice=mean_std(score.dice for score in scores),
        dice_with_lesion=mean_std(score.dice for score in with_lesion),
        iou=mean_std(score.iou for score in scores),
        sensitivity=mean_std(score.sensitivity for score in scores),
        sensitivity_of_all=mean_std(score.sensitivity if score.present else 1.0 for score in scores),
        specificity=mean_std(score.specificity for score in scores),
        empty_frames=len(empty),
        empty_frames_kept=kept,
        empty_frames_kept_share=_ratio(kept, len(empty)),
        image_level=_image_level(scores),
        pooled_dice=_pooled_dice(scores),
    )


def mean_std(values: Iterable[float]) -> MeanStd:
    """Mean and sample standard deviation (ddof = 1) of the values that are not NaN."""
    defined = np.array([value for value in values if not math.isnan(value)], dtype=np.float64)
    return MeanStd(
        mean=float(defined.mean()) if defined.size else math.nan,
        std=float(defined.std(ddof=1)) if defined.size > 1 else math.nan,
        frames=int(defined.size),
    )


def image_level(*, tp: int, fp: int, fn: int, tn: int) -> ImageLevel:
    """Precision, recall, F1 and accuracy from counts of frames."""
    return ImageLevel(
        tp=tp,
        fp=fp,
        fn=fn,
        tn=tn,
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
        accuracy=_ratio(tp + tn, tp + fp + fn + tn),
    )


def _image_level(scores: Sequence[FrameScore]) -> ImageLevel:
    return image_level(
        tp=sum(score.present and score.predicted for score in scores),
        fp=sum(not score.present and score.predicted for score in scores),
        fn=sum(score.present and not score.predicted for score in scores),
        tn=sum(not score.present and not score.predicted for score in scores),
    )


def _pooled_dice(scores: Sequence[FrameScore]) -> float:
    if not scores:
        return math.nan
    return dice_of_counts(
        sum(score.tp for score in scores), sum(score.fp for score in scores), sum(score.fn for score in scores)
    )


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else math.nan
