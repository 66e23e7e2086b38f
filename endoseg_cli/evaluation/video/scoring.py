"""Score what a model, and what is done to its predictions over time, make of clips; memory holds a few frames."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.clips.scored_clips import ClipFrame
from endoseg_cli.evaluation.frames.metrics import score_frame
from endoseg_cli.evaluation.video.metrics import (
    VideoFrameScore,
    VideoSummary,
    aligned_iou,
    summarise_video,
)
from endoseg_cli.evaluation.video.optical_flow import Flow, Grey, flow_between, grey
from endoseg_cli.evaluation.video.spoil import Spoiler
from endoseg_cli.temporal.scene_cuts import SceneCuts

Probability = NDArray[np.float32]
BEFORE = "as predicted"
"""What tables call the predictions that nothing is done to."""
Predict = Callable[[NDArray[np.uint8]], tuple[Probability, Probability]]
"""Takes a picture (h, w, 3), returns probability and uncertainty (C, h, w)."""
Scored = Callable[[ClipFrame, VideoFrameScore, Probability, NDArray[np.bool_]], None]
"""Is told of a frame, its score under one method, and that method's probability (C, h, w) and mask (h, w)."""


class Method(Protocol):
    """Something done to the predictions of one clip over time; gives each frame back, in order, when it can."""

    def step(
        self, picture: NDArray[np.uint8], probability: Probability, uncertainty: Probability, time: float
    ) -> Sequence[Probability]:
        """Take the next frame; return the probabilities (C, h, w) that are ready."""

    def finish(self) -> Sequence[Probability]:
        """Return the probabilities that are left."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Facts:
    """What scoring needs of a frame until the slowest method has given it back."""

    index: int
    frame: ClipFrame
    scene: int
    spoiled: bool
    flow: Flow | None  # from here to the frame before; None where a scene begins
    truth_steadiness: float


@dataclass(kw_only=True, eq=False)
class _Track:
    """The scores of one method under way."""

    method: str
    run: Method | None
    waiting: deque[_Facts] = field(default_factory=deque)
    last_mask: NDArray[np.bool_] | None = None
    scores: list[VideoFrameScore] = field(default_factory=list)


class ClipScorer:
    """Scores clips under several methods; the predictions themselves come first, as BEFORE.

    Masks and truth are compared at the model's input size, classes taken together. Every method sees the same
    predictions, spoiled or not.
    """

    def __init__(
        self, predict: Predict, methods: Mapping[str, Callable[[], Method]], *, threshold: float = 0.5
    ) -> None:
        assert BEFORE not in methods, "a method has its own name"
        self._predict, self._methods, self._threshold = predict, methods, threshold
        self.scores: dict[str, list[VideoFrameScore]] = {name: [] for name in (BEFORE, *methods)}
        """The scores of all clips so far, by method."""

    def add(
        self,
        name: str,
        frames: Iterable[ClipFrame],
        spoiler: Spoiler | None = None,
        on_frame: Callable[[], None] | None = None,
        on_scored: Scored | None = None,
    ) -> None:
        """Score a clip; `on_frame` is told after each frame, `on_scored` of each one as each method has it.

        Raises what reading and predicting raise.
        """
        tracks = [_Track(method=BEFORE, run=None)]
        tracks += [_Track(method=method, run=make()) for method, make in self._methods.items()]
        facts = _FactFinder()
        for frame in frames:
            probability, uncertainty = self._predict(frame.picture)
            spoiled = False
            if spoiler is not None:
                probability, uncertainty, spoiled = spoiler(probability, uncertainty)
            fact = facts.of(frame, spoiled=spoiled)
            for track in tracks:
                track.waiting.append(fact)
                run = track.run
                ready = [probability] if run is None else run.step(frame.picture, probability, uncertainty, frame.time)
                self._score(name, track, ready, on_scored)
            if on_frame is not None:
                on_frame()
        for track in tracks:
            self._score(name, track, () if track.run is None else track.run.finish(), on_scored)
            assert not track.waiting, f"{track.method} gives every frame back"
            self.scores[track.method] += track.scores

    def summaries(self) -> list[VideoSummary]:
        """Return one summary for each method over all clips so far."""
        before = self.scores[BEFORE]
        return [summarise_video(before, scores) for scores in self.scores.values() if scores]

    def _score(self, clip: str, track: _Track, ready: Sequence[Probability], on_scored: Scored | None) -> None:
        for probability in ready:
            facts = track.waiting.popleft()
            mask = np.asarray((probability > self._threshold).any(axis=0))
            track.scores.append(_score(clip, track, facts, mask))
            track.last_mask = mask
            if on_scored is not None:
                on_scored(facts.frame, track.scores[-1], probability, mask)


def _score(clip: str, track: _Track, facts: _Facts, mask: NDArray[np.bool_]) -> VideoFrameScore:
    truth = facts.frame.truth
    against = None if truth is None else score_frame(mask, truth)
    steady = math.nan
    if facts.flow is not None and track.last_mask is not None:
        steady = aligned_iou(track.last_mask, mask, facts.flow)
    return VideoFrameScore(
        clip=clip,
        method=track.method,
        frame=facts.index,
        time=facts.frame.time,
        scene=facts.scene,
        spoiled=facts.spoiled,
        truth_pixels=None if truth is None else int(np.count_nonzero(truth)),
        pixels=int(np.count_nonzero(mask)),
        overlap=0 if against is None else against.tp,
        dice=math.nan if against is None else against.dice,
        steadiness=steady,
        truth_steadiness=facts.truth_steadiness,
    )


class _FactFinder:
    """Finds scenes and motion, which are the same for every method."""

    def __init__(self) -> None:
        self._before: tuple[ClipFrame, Grey] | None = None
        self._cuts = SceneCuts()
        self._index, self._scene = 0, 0

    def of(self, frame: ClipFrame, *, spoiled: bool) -> _Facts:
        shades, flow, steady = grey(frame.picture), None, math.nan
        if self._cuts.begins(frame.picture):
            self._scene += 1
        elif self._before is not None:
            last, last_shades = self._before
            flow = flow_between(shades, last_shades)
            if frame.truth is not None and last.truth is not None:
                steady = aligned_iou(last.truth, frame.truth, flow)
        facts = _Facts(
            index=self._index, frame=frame, scene=self._scene, spoiled=spoiled, flow=flow, truth_steadiness=steady
        )
        self._before, self._index = (frame, shades), self._index + 1
        return facts


def video_report(scorer: ClipScorer) -> dict[str, Any]:
    """Return the summaries of all clips and of each one as plain values; what is not defined is None."""
    clips = dict.fromkeys(score.clip for score in scorer.scores[BEFORE])
    return {
        "methods": [_plain(summary) for summary in scorer.summaries()],
        "clips": {clip: [_plain(summary) for summary in _of_clip(scorer, clip)] for clip in clips},
    }


def _of_clip(scorer: ClipScorer, clip: str) -> list[VideoSummary]:
    chosen = [[score for score in scores if score.clip == clip] for scores in scorer.scores.values()]
    return [summarise_video(chosen[0], scores) for scores in chosen]


def _plain(summary: VideoSummary) -> dict[str, Any]:
    values = asdict(summary)
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}
