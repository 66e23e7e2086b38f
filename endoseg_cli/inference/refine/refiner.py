"""Refine a stream of predictions with the corrective network, which sees a window of frames around each."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, Generic, Literal

import numpy as np

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.predict.corrector import Corrector, Features, PredictedFrame
from endoseg_cli.inference.predict.masks import BinaryMask, drop_specks
from endoseg_cli.inference.predict.predictor import Predictor, Probability
from endoseg_cli.inference.refine.window import LONGEST_STEP, neighbours, offset
from endoseg_cli.temporal.isolated_frames import MOST_FRAMES_A_RUN, SHORT_RUN, FrameFlag, flag_in_run
from endoseg_cli.temporal.scene_cuts import SceneCuts

RefineChoice = Literal["auto", "flagged", "all", "off"]
RefineMode = Literal["flagged", "all", "off"]
AUTO_REFINE: RefineMode = "flagged"
"""What `auto` stands for with a model that has a corrective network: on real sequences of a hospital that nothing was
tuned on, `all` lost 5 points of Dice where `flagged` lost none (weights/README.md)."""
AUTO_CAUSAL: RefineMode = "all"
"""What it stands for without look-ahead, where frames cannot be flagged."""


@dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """Which frames of a video the corrective network refines."""

    choice: RefineChoice = "auto"
    """flagged: false-positive and false-negative frames (Endo-SemiS, rule on R_n) and their neighbours."""
    causal: bool = False
    """Look at past frames only, for live use."""

    def __post_init__(self) -> None:
        if self.causal and self.choice == "off":
            raise UsageError("--causal belongs to refinement, which --refine off turns off", hint="leave it out")
        if self.causal and self.choice == "flagged":
            raise UsageError(
                "--refine flagged needs the next frame, which --causal does not wait for", hint="use --refine all"
            )

    def mode(self, *, has_network: bool, model: str) -> RefineMode:
        """Return what to do with a model; raises UsageError where it would need a corrective network and has none."""
        if has_network:
            automatic = AUTO_CAUSAL if self.causal else AUTO_REFINE
            return automatic if self.choice == "auto" else self.choice
        if self.choice in ("flagged", "all") or self.causal:
            option = "--causal" if self.choice == "auto" else f"--refine {self.choice}"
            raise UsageError(
                f"{option}: the model {model} has no corrective network",
                hint="give another model with --weights, or leave the option out",
            )
        return "off"


@dataclass(frozen=True, kw_only=True, eq=False)
class RefinedFrame:
    """A frame that has passed the refiner."""

    predicted: PredictedFrame
    """What went in."""
    probability: Probability
    """(C, h, w): corrected, or the very one that went in."""
    refined: bool
    """Whether it was corrected."""
    flags: tuple[FrameFlag | None, ...]
    """For each class whether it comes or goes for a moment, of which this frame is part; without look-ahead None."""


@dataclass(kw_only=True)
class RefineCounts:
    """What the refiner met in one video."""

    false_positive_frames: int = 0
    """Frames in which a class is there for a moment, and not before and after."""
    false_negative_frames: int = 0
    """Frames in which a class is gone for a moment, and is there before and after."""
    refined_frames: int = 0
    """Frames that were corrected."""
    scene_cuts: int = 0
    """Places where another scene begins."""


@dataclass(kw_only=True, eq=False)
class _Held(Generic[Features]):
    """A frame whose own turn, or a neighbour's, is still to come."""

    frame: PredictedFrame
    pixels: tuple[int, ...]  # R_n of each class
    features: Features | None = None
    judgement: list[tuple[FrameFlag | None, bool]] | None = None  # once frames to come cannot change it


class Refiner(Generic[Features]):
    """Takes the predicted frames of one video in order and gives them back in order, refined where they are to be.

    A frame waits for the frames that decide about it: for the T//2 neighbours after it in its window where it is
    refined (T//2 frames up to 37 fps, 2 x (T//2) at 60), for the next frame, and while its mask, or with `flagged` its
    next frame's, has come or gone a moment ago, until that has lasted for SHORT_RUN or ended: with T = 5 at 25 fps for
    two frames, and at such changes up to five. Causal, nothing waits, and windows end with their frame. No window
    crosses a scene cut or a pause of more than a second; memory holds one window and SHORT_RUN seconds.
    """

    def __init__(
        self,
        corrector: Corrector[Features] | None,
        mode: RefineMode,
        *,
        threshold: float,
        causal: bool = False,
    ) -> None:
        """Begin a video; `corrector` may be None where the mode is off. R_n counts probabilities above `threshold`."""
        assert corrector is not None or mode == "off", "refining needs a corrective network"
        assert not (causal and mode == "flagged"), "flags need the next frame"
        self._corrector, self.mode, self._causal = corrector, mode, causal
        self._reach = 0 if corrector is None or mode == "off" else corrector.window // 2
        self._threshold = threshold
        self.smallest_share = 0.0
        """Share of the picture that a region must fill to count, as --min-area has it in pixels of the frame."""
        self._scene: list[_Held[Features]] = []  # from the first frame still needed on
        self._next = 0  # whose turn it is
        self._cuts = SceneCuts()
        self.counts = RefineCounts()

    def step(self, frame: PredictedFrame) -> list[RefinedFrame]:
        """Take the next frame; return the frames that need to wait no longer."""
        done = self.finish() if self._starts_scene(frame) else []
        pixels = tuple(self._count(plane > self._threshold) for plane in frame.probability)
        self._scene.append(_Held(frame=frame, pixels=pixels))
        return done + self._release(ended=False)

    def finish(self) -> list[RefinedFrame]:
        """Return the frames that still wait for others which do not come."""
        done = self._release(ended=True)
        self._scene, self._next = [], 0
        return done

    def _count(self, mask: BinaryMask) -> int:
        """Return R_n of one class; regions smaller than those that are drawn count nothing."""
        smallest = math.ceil(self.smallest_share * mask.size)
        return int(np.count_nonzero(drop_specks(mask, smallest) if smallest > 1 else mask))

    def _starts_scene(self, frame: PredictedFrame) -> bool:
        if self._cuts.begins(frame.picture):
            self.counts.scene_cuts += 1
            return True
        return bool(self._scene) and frame.time - self._scene[-1].frame.time > LONGEST_STEP

    def _release(self, *, ended: bool) -> list[RefinedFrame]:
        done = []
        while self._next < len(self._scene) and (ended or self._is_ready(self._next)):
            done.append(self._refine(self._next))
            self._next += 1
        self._forget()
        return done

    def _is_ready(self, index: int) -> bool:
        if self._causal:
            return True
        deciding = (index - 1, index, index + 1) if self.mode == "flagged" else (index,)
        if index + 1 == len(self._scene) or not all(self._is_judged(other) for other in deciding):
            return False
        return not self._is_wanted(index) or len(self._after(index)) == self._reach

    def _is_wanted(self, index: int) -> bool:
        if self.mode == "flagged":
            return any(any(self._flags(other)) for other in (index - 1, index, index + 1))
        return self.mode == "all"

    def _flags(self, index: int) -> tuple[FrameFlag | None, ...]:
        return tuple(flag for flag, _ in self._judge(index))

    def _is_judged(self, index: int) -> bool:
        return all(final for _, final in self._judge(index))

    def _judge(self, index: int) -> list[tuple[FrameFlag | None, bool]]:
        """Return each class's flag of a frame, and whether frames to come cannot change it; () beyond the scene."""
        if not 0 <= index < len(self._scene):
            return []
        held = self._scene[index]
        if held.judgement is not None:
            return held.judgement
        times = self._times()
        planes = zip(*(each.pixels for each in self._scene), strict=True)
        judgement = [flag_in_run(pixels, times, index) for pixels in planes]
        if all(final for _, final in judgement):
            held.judgement = judgement
        return judgement

    def _refine(self, index: int) -> RefinedFrame:
        frame = self._scene[index].frame
        flags = () if self._causal else self._flags(index)
        wanted = self._is_wanted(index)
        self.counts.false_positive_frames += "false_positive" in flags
        self.counts.false_negative_frames += "false_negative" in flags
        self.counts.refined_frames += wanted
        return RefinedFrame(
            predicted=frame,
            probability=self._correct(index) if wanted else frame.probability,
            refined=wanted,
            flags=flags or (None,) * len(frame.probability),
        )

    def _correct(self, index: int) -> Probability:
        assert self._corrector is not None
        before = self._before(index)
        chosen = [*reversed(before), index, *([] if self._causal else self._after(index))]
        times = self._times()
        offsets = [offset(times[each], times[index]) for each in chosen]
        return self._corrector.fuse([self._features(each) for each in chosen], len(before), offsets)

    def _features(self, index: int) -> Features:
        assert self._corrector is not None
        held = self._scene[index]
        if held.features is None:
            held.features = self._corrector.encode(held.frame)
        return held.features

    def _before(self, index: int) -> list[int]:
        return neighbours(self._times(), index, self._reach, -1)

    def _after(self, index: int) -> list[int]:
        return neighbours(self._times(), index, self._reach, 1)

    def _times(self) -> list[float]:
        return [held.frame.time for held in self._scene]

    def _forget(self) -> None:
        """Let go of frames that neither windows nor flags of those to come can reach."""
        if not self._scene:
            return
        # A frame that is yet to come reaches no further back than the last one here.
        window = self._before(min(self._next, len(self._scene) - 1))
        oldest = min([self._oldest_judging(), *window])
        if oldest > 0 and len(window) == self._reach:
            del self._scene[:oldest]
            self._next -= oldest

    def _oldest_judging(self) -> int:
        """Return the oldest frame that flags of the frames from the last one given back on depend on."""
        judged = max(self._next - 1, 0)
        times = self._times()
        recent = bisect_left(times, times[judged] - SHORT_RUN, hi=judged)
        return max(recent - 1, judged - MOST_FRAMES_A_RUN)


def make_refiner(predictor: Predictor, config: RefineConfig, threshold: float) -> Refiner[Any]:
    """Return a refiner for one video with the predictor's corrective network, if it has one and the mode asks for it.

    Raises UsageError where refinement is asked for and the model has no corrective network.
    """
    network = predictor.corrective
    mode = config.mode(has_network=network is not None, model=predictor.card.name)
    if network is None or mode == "off":
        return Refiner(None, "off", threshold=threshold)
    corrector = Corrector(
        network,
        window=network.config.window,
        device=predictor.device,
        dtype=predictor.corrective_precision,
        presence=predictor.presence,
    )
    return Refiner(corrector, mode, threshold=threshold, causal=config.causal)
