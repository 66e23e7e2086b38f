"""The predicting stage of a video: batches of frames to probabilities, then refinement, which frames wait for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from endoseg_cli.inference.flow.stages import Ahead
from endoseg_cli.inference.predict.corrector import PredictedFrame
from endoseg_cli.inference.predict.predictor import Predictor, Probability
from endoseg_cli.inference.refine.refiner import RefinedFrame, Refiner
from endoseg_cli.video.reading.reader import Frame


@dataclass(frozen=True, kw_only=True, eq=False)
class Passed:
    """A frame on its way to the writer."""

    frame: Frame
    """The frame of the video."""
    refined: RefinedFrame | None
    """What was found in it; None for a frame that was not predicted and keeps the last mask."""


Maps = list[tuple[Probability, Probability | None]]
"""Of each frame the probability, and the uncertainty where the refiner asks for it."""


class Predicting:
    """Takes frames with whether each is to be predicted; gives them back in order, later by what the refiner waits for.

    Frames between predicted ones wait with them.
    """

    def __init__(self, predictor: Predictor, refiner: Refiner[Any]) -> None:
        self._predictor, self._refiner = predictor, refiner
        self._waiting: deque[tuple[Frame, bool]] = deque()

    def __call__(self, batch: Sequence[tuple[Frame, bool]], maps: Maps | None = None) -> list[Passed]:
        """Take a batch, and its maps where `predict` was called before; return the frames that need wait no longer."""
        maps = self.predict(batch) if maps is None else maps
        self._waiting.extend(batch)
        done: list[RefinedFrame] = []
        for frame, (probability, uncertainty) in zip(_wanted(batch), maps, strict=True):
            predicted = PredictedFrame(
                picture=frame.rgb, probability=probability, uncertainty=uncertainty, time=frame.time
            )
            done += self._refiner.step(predicted)
        return self._release(done)

    def predict(self, batch: Sequence[tuple[Frame, bool]]) -> Maps:
        """Run the networks on those frames of a batch that are to be predicted; several threads may do so at once."""
        pictures = [frame.rgb for frame in _wanted(batch)]
        if not pictures:
            return []
        if self._refiner.mode == "off":
            return [(probability, None) for probability in self._predictor.predict(pictures)]
        return list(zip(*self._predictor.predict_with_uncertainty(pictures), strict=True))

    @contextmanager
    def ahead(self) -> Iterator[Ahead]:
        """Say how batches are predicted side by side: as many as torch has threads, each in a thread of its own.

        Threads that share one batch wait for each other after every layer, and for whatever else of the pipeline holds
        one of them up. A GPU takes one batch at a time. Torch's threads are as before on leaving.
        """
        cores = torch.get_num_threads()
        batches = self._predictor.batches_at_once
        torch.set_num_threads(cores // batches)  # threads that begin from here on have as many
        try:
            yield Ahead(work=self.predict, threads=batches)
        finally:
            torch.set_num_threads(cores)

    def finish(self) -> list[Passed]:
        """Return the frames that still wait, after the last batch."""
        return self._release(self._refiner.finish())

    def _release(self, done: Sequence[RefinedFrame]) -> list[Passed]:
        """Pair refined frames with their full ones, and pass on the frames that no predicted one waits before."""
        refined = deque(done)
        passed = []
        while self._waiting and (refined or not self._waiting[0][1]):
            frame, is_wanted = self._waiting.popleft()
            passed.append(Passed(frame=frame, refined=refined.popleft() if is_wanted else None))
        return passed


def _wanted(batch: Sequence[tuple[Frame, bool]]) -> list[Frame]:
    return [frame for frame, is_wanted in batch if is_wanted]
