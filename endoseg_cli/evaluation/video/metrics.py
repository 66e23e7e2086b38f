"""What masks do over time: frames that fail alone, flicker, and steadiness along the motion."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.evaluation.frames.metrics import mean_std
from endoseg_cli.evaluation.video.optical_flow import Flow, warp_mask
from endoseg_cli.temporal.isolated_frames import FrameFlag, flag_scene

SHORT_RUN = 5
"""A mask that comes or goes for fewer frames than this flickers, whatever the truth is."""
CHANGED_DICE = 0.05
"""A frame is better or worse where its Dice moved by more than this."""


@dataclass(frozen=True, kw_only=True)
class VideoFrameScore:
    """One frame under one method; measures without a truth, or without a frame before, are NaN."""

    clip: str
    """The clip."""
    method: str
    """What was done to the prediction."""
    frame: int
    """Index in the clip."""
    time: float
    """Seconds."""
    scene: int
    """Number of the scene within the clip, from 0."""
    spoiled: bool
    """Whether the prediction was spoiled on purpose."""
    truth_pixels: int | None
    """Foreground pixels of the truth, at the model's input size; None without truth."""
    pixels: int
    """Foreground pixels of the mask (R_n), at the model's input size."""
    overlap: int
    """Pixels of the mask that are also in the truth."""
    dice: float
    """Dice against the truth."""
    steadiness: float
    """IoU with the mask of the frame before, moved along the optical flow; NaN where both are empty."""
    truth_steadiness: float
    """The same of the truth."""


@dataclass(frozen=True, kw_only=True)
class VideoSummary:
    """What one method does over all clips; measures that are not defined are NaN, counts that need truth are None."""

    method: str
    """What was done to the prediction."""
    frames: int
    """Number of frames."""
    dice: float
    """Mean Dice over all frames with truth."""
    dice_with_lesion: float
    """Mean Dice over frames with a lesion."""
    dice_untouched: float
    """Mean Dice over frames that were neither spoiled nor isolated failures before."""
    dice_isolated: float
    """Mean Dice over frames that were isolated failures before: what a repair is worth."""
    false_negative_frames: int | None
    """Frames with a lesion and an empty mask."""
    false_positive_frames: int | None
    """Frames without a lesion and with a mask."""
    isolated_false_negatives: int | None
    """False-negative frames by the rule on R_n, before, that have a lesion."""
    repaired_false_negatives: int | None
    """How many of them now have a mask that overlaps the lesion."""
    isolated_false_positives: int | None
    """False-positive frames by the rule on R_n, before, that have no lesion."""
    repaired_false_positives: int | None
    """How many of them are empty now."""
    better_frames: int | None
    """Frames whose Dice rose by more than 0.05."""
    worse_frames: int | None
    """Frames whose Dice fell by more than 0.05."""
    steadiness: float
    """Mean IoU of neighbouring masks after optical-flow alignment."""
    truth_steadiness: float
    """The same of the truth."""
    flicker: int | None
    """Times that the mask comes or goes from one frame to the next where the truth does not."""
    short_runs: int
    """Times that the mask comes or goes for fewer than 5 frames, whatever the truth."""


def aligned_iou(before: NDArray[np.bool_], here: NDArray[np.bool_], flow: Flow) -> float:
    """Return the IoU of a mask and the one before, which is moved along the flow to it; NaN if both are empty."""
    moved = warp_mask(before, flow)
    union = int(np.count_nonzero(moved | here))
    return int(np.count_nonzero(moved & here)) / union if union else math.nan


def count_flicker(present: Sequence[bool], truth: Sequence[bool]) -> int:
    """Count the changes of presence within one scene that the truth does not make at the same time."""
    changes = zip(pairwise(present), pairwise(truth), strict=True)
    return sum(here[0] != here[1] and there[0] == there[1] for here, there in changes)


def count_short_runs(present: Sequence[bool]) -> int:
    """Count the times that a mask comes or goes for fewer than SHORT_RUN frames inside one scene, not at its ends."""
    lengths = [len(list(run)) for _, run in groupby(present)]
    return sum(length < SHORT_RUN for length in lengths[1:-1])


def isolated_failures(scores: Sequence[VideoFrameScore]) -> list[FrameFlag | None]:
    """Flag the frames of one method that the rule on R_n finds and the truth confirms."""
    flags: list[FrameFlag | None] = []
    for scene in _scenes(scores):
        for score, flag in zip(scene, flag_scene([score.pixels for score in scene]), strict=True):
            wrong = score.truth_pixels is not None and (score.truth_pixels > 0) == (flag == "false_negative")
            flags.append(flag if flag and wrong else None)
    return flags


def summarise_video(before: Sequence[VideoFrameScore], after: Sequence[VideoFrameScore]) -> VideoSummary:
    """Compare a method's frames with the same frames before it (`before` may be `after`: no method at all)."""
    assert len(before) == len(after), "the same frames"
    flags = isolated_failures(before)
    pairs = list(zip(before, after, flags, strict=True))
    known = any(score.truth_pixels is not None for score in after)
    negatives = [score for _, score, flag in pairs if flag == "false_negative"]
    positives = [score for _, score, flag in pairs if flag == "false_positive"]
    untouched = [score.dice for first, score, flag in pairs if flag is None and not first.spoiled]
    scenes = _scenes(after)

    def counted(number: int) -> int | None:
        return number if known else None

    return VideoSummary(
        method=after[0].method,
        frames=len(after),
        dice=_mean(score.dice for score in after),
        dice_with_lesion=_mean(score.dice for score in after if score.truth_pixels),
        dice_untouched=_mean(untouched),
        dice_isolated=_mean(score.dice for score in negatives + positives),
        false_negative_frames=counted(sum(bool(score.truth_pixels) and not score.pixels for score in after)),
        false_positive_frames=counted(sum(score.truth_pixels == 0 and score.pixels > 0 for score in after)),
        isolated_false_negatives=counted(len(negatives)),
        repaired_false_negatives=counted(sum(score.overlap > 0 for score in negatives)),
        isolated_false_positives=counted(len(positives)),
        repaired_false_positives=counted(sum(score.pixels == 0 for score in positives)),
        better_frames=counted(sum(score.dice - first.dice > CHANGED_DICE for first, score, _ in pairs)),
        worse_frames=counted(sum(first.dice - score.dice > CHANGED_DICE for first, score, _ in pairs)),
        steadiness=_mean(score.steadiness for score in after),
        truth_steadiness=_mean(score.truth_steadiness for score in after),
        flicker=counted(sum(_flicker(scene) for scene in scenes)),
        short_runs=sum(count_short_runs([score.pixels > 0 for score in scene]) for scene in scenes),
    )


def _flicker(scene: Sequence[VideoFrameScore]) -> int:
    known = [score for score in scene if score.truth_pixels is not None]
    return count_flicker([score.pixels > 0 for score in known], [bool(score.truth_pixels) for score in known])


def _scenes(scores: Sequence[VideoFrameScore]) -> list[list[VideoFrameScore]]:
    return [list(scene) for _, scene in groupby(scores, key=lambda score: (score.clip, score.scene))]


def _mean(values: Iterable[float]) -> float:
    return mean_std(values).mean
