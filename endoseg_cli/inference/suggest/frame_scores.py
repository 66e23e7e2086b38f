"""What the networks say of a frame without its truth: how unsure they are, how much they disagree, how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from endoseg_cli.inference.predict.predictor import Pixels, Probability
from endoseg_cli.networks.files.bundle import Bundle
from endoseg_cli.networks.running.device import default_batch_size, resolve_device
from endoseg_cli.networks.running.ensemble import combine
from endoseg_cli.networks.running.normalise import Normaliser
from endoseg_cli.networks.running.prepared import prepared
from endoseg_cli.pictures.field_of_view import FieldOfView, find_field_of_view
from endoseg_cli.pictures.resize import resize_frame

UNSURE_SHARE = 0.05
"""Uncertainty is the mean over this share of the pixels, the most uncertain ones: about as much as a lesion's rim. A
mean over all pixels would measure how large the lesion is."""
_LN_2 = float(np.log(2))
Feature = NDArray[np.float16]


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameScore:
    """One frame as the networks see it."""

    probability: Probability
    """(C, h, w), the mean of the networks' sigmoids."""
    uncertainty: float
    """Expected entropy of the most uncertain pixels, from 0 (sure) to 1 (all of them a coin's toss)."""
    disagreement: float | None
    """1 - soft Dice of the two networks, from 0 to 1; None with one network."""
    feature: Feature
    """(D,), the encoders' bottlenecks averaged over the frame, each of length 1: similar where frames look alike."""


class FrameScorer:
    """A model that looks at frames (h, w, 3) uint8 RGB at its input size; float32 on whatever device."""

    def __init__(self, bundle: Bundle, *, device: str = "auto") -> None:
        self.card = bundle.card
        self.device = resolve_device(device)
        self.batch_size = default_batch_size(self.device, bundle.card.input_size)
        self._networks = [prepared(network, self.device) for network in bundle.networks]
        self._normalise = Normaliser(bundle.card.mean, bundle.card.std, self.device)

    @property
    def crops(self) -> bool:
        """Whether the networks see the endoscope's picture alone."""
        return self.card.field_of_view == "auto"

    def shrink(self, picture: Pixels) -> tuple[Pixels, FieldOfView | None]:
        """Return a picture (H, W, 3) as `score` takes it, and which part of it that shows; None for all."""
        view = find_field_of_view(picture) if self.crops else None
        return resize_frame(picture if view is None else view.crop(picture), self.card.input_size), view

    @torch.inference_mode()
    def score(self, frames: Sequence[Pixels]) -> list[FrameScore]:
        """Score some frames together, at most `batch_size` of them."""
        height, width = self.card.input_size
        images = self._normalise(torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).to(self.device))
        encoded = [network.encode(images) for network in self._networks]
        logits = [
            network.decode(features)[..., :height, :width]
            for network, features in zip(self._networks, encoded, strict=True)
        ]
        probability, entropy = combine(logits)
        unsure = most_uncertain(entropy).cpu().tolist()
        apart = _disagreement(logits)
        looks = torch.cat([functional.normalize(features[-1].mean((2, 3))) for features in encoded], dim=1)
        return [
            FrameScore(probability=p, uncertainty=u, disagreement=d, feature=f)
            for p, u, d, f in zip(probability.cpu().numpy(), unsure, apart, looks.half().cpu().numpy(), strict=True)
        ]


def most_uncertain(entropy: Tensor) -> Tensor:
    """Return the mean entropy (N) of the most uncertain pixels of (N, C, h, w), as a share of the largest possible."""
    flat = entropy.flatten(1)
    count = max(round(UNSURE_SHARE * flat.shape[1]), 1)
    return flat.topk(count, dim=1, sorted=False).values.mean(1) / _LN_2


def _disagreement(logits: Sequence[Tensor]) -> list[float | None]:
    """Return 1 - soft Dice of two networks' probabilities, for each frame.

    The Dice is smoothed by a hundredth of the picture: networks that see next to nothing agree.
    """
    if len(logits) != 2:
        return [None] * len(logits[0])
    one, two = (torch.sigmoid(each).flatten(1) for each in logits)
    smooth = 0.01 * one.shape[1]
    dice = (2 * (one * two).sum(1) + smooth) / (one.square().sum(1) + two.square().sum(1) + smooth)
    return [float(value) for value in 1 - dice]
