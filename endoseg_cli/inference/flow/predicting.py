"""Two stages of a video: batches of frames to probabilities, then refinement, which frames wait for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
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

    Frames between predicted ones wait with them. `predict` and `refine` may run in threads of their own. Where the
    device computes by itself, a batch is given back with the next one, so that it works on that meanwhile.
    """

    def __init__(self, predictor: Predictor, refiner: Refiner[Any]) -> None:
        self._predictor, self._refiner = predictor, refiner
        self._waiting: deque[Predicted] = deque()
        self._ahead = 1 if predictor.overlaps else 0
        self._begun: deque[Callable[[], list[Predicted]]] = deque()

    def __call__(self, batch: Sequence[tuple[Frame, bool]]) -> list[Passed]:
        """Predict a batch and refine it; return the frames that need to wait no longer."""
        return self.refine(self.predict(batch))

    def predict(self, batch: Sequence[tuple[Frame, bool]]) -> list[Predicted]:
        """Return what the networks find in the frames that are to be predicted."""
        self._begun.append(self._begin(batch))
        return self._ended(self._ahead)

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
        passed = self.refine(self._ended(0))
        return [*passed, *self._release(self._refiner.finish())]

    def _ended(self, ahead: int) -> list[Predicted]:
        """Wait for all batches that were begun but so many."""
        done: list[Predicted] = []
        while len(self._begun) > ahead:
            done += self._begun.popleft()()
        return done

    def _begin(self, batch: Sequence[tuple[Frame, bool]]) -> Callable[[], list[Predicted]]:
        wanted = [frame for frame, is_wanted in batch if is_wanted]
        wait = self._predict(wanted) if wanted else list
        return lambda: _paired(batch, wait())

    def _predict(self, frames: Sequence[Frame]) -> Callable[[], list[PredictedFrame]]:
        wait = self._predictor.begin([frame.rgb for frame in frames], with_uncertainty=self._refiner.mode != "off")

        def found() -> list[PredictedFrame]:
            probabilities, uncertainties = wait()
            doubts = repeat(None) if uncertainties is None else uncertainties
            return [
                PredictedFrame(picture=frame.rgb, probability=probability, uncertainty=uncertainty, time=frame.time)
                for frame, probability, uncertainty in zip(frames, probabilities, doubts, strict=False)
            ]

        return found

    def _release(self, done: Sequence[RefinedFrame]) -> list[Passed]:
        """Pair refined frames with their full ones, and pass on the frames that no predicted one waits before."""
        refined = deque(done)
        passed = []
        while self._waiting and (refined or self._waiting[0].found is None):
            each = self._waiting.popleft()
            passed.append(Passed(frame=each.frame, refined=None if each.found is None else refined.popleft()))
        return passed


def _paired(batch: Sequence[tuple[Frame, bool]], found: Sequence[PredictedFrame]) -> list[Predicted]:
    """Give each frame of a batch what was found in it."""
    following = iter(found)
    return [Predicted(frame=frame, found=next(following) if is_wanted else None) for frame, is_wanted in batch]
