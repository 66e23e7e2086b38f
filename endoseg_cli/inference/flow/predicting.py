"""Two stages of a video: batches of frames to probabilities, then refinement, which frames wait for."""

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
class Predicted:
    """A frame on its way to the refiner."""

    frame: Frame
    """The frame of the video."""
    found: PredictedFrame | None
    """What the networks found in it; None for a frame that was not predicted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Passed:
    """A frame on its way to the writer."""

    frame: Frame
    """The frame of the video."""
    refined: RefinedFrame | None
    """What was found in it; None for a frame that was not predicted and keeps the last mask."""


class Predicting:
    """Takes frames with whether each is to be predicted; gives them back in order, later by what the refiner waits for.

    Frames between predicted ones wait with them. `predict` and `refine` may run in threads of their own.
    """

    def __init__(self, predictor: Predictor, refiner: Refiner[Any]) -> None:
        self._predictor, self._refiner = predictor, refiner
        self._waiting: deque[Predicted] = deque()

    def __call__(self, batch: Sequence[tuple[Frame, bool]]) -> list[Passed]:
        """Predict a batch and refine it; return the frames that need to wait no longer."""
        return self.refine(self.predict(batch))

    def predict(self, batch: Sequence[tuple[Frame, bool]]) -> list[Predicted]:
        """Return what the networks find in the frames that are to be predicted."""
        found = iter(self._predict([frame for frame, is_wanted in batch if is_wanted]))
        return [Predicted(frame=frame, found=next(found) if is_wanted else None) for frame, is_wanted in batch]

    def refine(self, batch: Sequence[Predicted]) -> list[Passed]:
        """Take the next frames; return those that need to wait no longer."""
        self._waiting.extend(batch)
        done: list[RefinedFrame] = []
        for each in batch:
            if each.found is not None:
                done += self._refiner.step(each.found)
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
        while self._waiting and (refined or self._waiting[0].found is None):
            each = self._waiting.popleft()
            passed.append(Passed(frame=each.frame, refined=None if each.found is None else refined.popleft()))
        return passed
