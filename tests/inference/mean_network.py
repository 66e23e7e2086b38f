"""A corrective network of no weights that shows which frames it was given: it averages them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from endoseg_cli.inference.predict.corrector import Corrector, PredictedFrame
from endoseg_cli.inference.refine.refiner import RefinedFrame, RefineMode, Refiner

SIDE = 16


@dataclass(kw_only=True)
class MeanNetwork:
    """Averages the probabilities of a window."""

    encoded: int = 0
    windows: list[tuple[int, int]] = field(default_factory=list)
    """Length and centre of each window."""
    offsets: list[list[float]] = field(default_factory=list)

    def encode(self, images: Tensor, probability: Tensor, uncertainty: Tensor) -> Tensor:
        assert images.shape == (1, 3, *probability.shape[2:]) and uncertainty.shape == probability.shape
        assert images.abs().max() < 3, "normalised"
        self.encoded += 1
        return probability

    def fuse(self, window: Sequence[Tensor], centre: int, offsets: Sequence[float]) -> Tensor:
        assert len(window) == len(offsets) and offsets[centre] == 0
        self.windows.append((len(window), centre))
        self.offsets.append([round(each, 6) for each in offsets])
        return torch.logit(torch.stack(list(window)).mean(0), eps=1e-6)


def scene_picture(scene: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A picture of noise, the same throughout a scene."""
    return np.random.default_rng(scene).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def predicted(level: float, time: float, scene: int = 0, classes: int = 1) -> PredictedFrame:
    """A frame of one probability everywhere."""
    probability = np.full((classes, SIDE, SIDE), level, np.float32)
    return PredictedFrame(
        picture=scene_picture(scene), probability=probability, uncertainty=np.zeros_like(probability), time=time
    )


def mean_refiner(
    network: MeanNetwork, mode: RefineMode = "all", *, window: int = 5, causal: bool = False
) -> Refiner[Tensor]:
    corrector = Corrector(network, window=window, device=torch.device("cpu"))
    return Refiner(corrector, mode, threshold=0.5, causal=causal)


def level_of(frame: RefinedFrame) -> float:
    """The one probability of a frame."""
    assert np.ptp(frame.probability) < 1e-6
    return float(frame.probability.mean())
