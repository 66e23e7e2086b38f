"""The predicting stage of a video: batches of frames to probabilities, then refinement, which frames wait for."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from endoseg_cli.inference.predict.corrector import PredictedFrame
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.refine.refiner import RefinedFrame, Refiner
from endoseg_cli.video.reading.reader import Frame


@dataclass(frozen=True, kw_only=True, eq=False)
class Passed:
    """A frame on its way to the writer."""

    frame: Frame
    """The frame of the video."""
    refined: RefinedFrame | None
    """What was found in it; None for a frame that was not predicted and keeps the last mask."""


class Predicting:
    """Takes frames with whether each is to be predicted; gives them back in order, later by what the refiner waits for.

    Frames between predicted ones wait with them.
    """

    def __init__(self, predictor: Predictor, refiner: Refiner[Any]) -> None:
        self._predictor, self._refiner = predictor, refiner
        self._waiting: deque[tuple[Frame, bool]] = deque()

    def __call__(self, batch: Sequence[tuple[Frame, bool]]) -> list[Passed]:
        """Predict a batch; return the frames that need to wait no longer."""
        self._waiting.extend(batch)
        done: list[RefinedFrame] = []
        for frame in self._predict([frame for frame, is_wanted in batch if is_wanted]):
            done += self._refiner.step(frame)
        return self._release(done)

    def finish(self) -> list[Passed]:
        """Return the frames that still wait, after the last batch."""
        return self._release(self._refiner.finish())

    def _predict(self, frames: Sequence[Frame]) -> list[PredictedFrame]:
        if not frames:
            return []
        pictures = [frame.rgb for frame in frames]
        if self._refiner.mode == "off":
            maps = [(probability, None) for probability in self._predictor.predict(pictures)]
        else:
            maps = list(zip(*self._predictor.predict_with_uncertainty(pictures), strict=True))
        return [
            PredictedFrame(picture=frame.rgb, probability=probability, uncertainty=uncertainty, time=frame.time)
            for frame, (probability, uncertainty) in zip(frames, maps, strict=True)
        ]

    def _release(self, done: Sequence[RefinedFrame]) -> list[Passed]:
        """Pair refined frames with their full ones, and pass on the frames that no predicted one waits before."""
        refined = deque(done)
        passed = []
        while self._waiting and (refined or not self._waiting[0][1]):
            frame, is_wanted = self._waiting.popleft()
            passed.append(Passed(frame=frame, refined=refined.popleft() if is_wanted else None))
        return passed
