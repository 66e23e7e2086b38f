"""What a corrective network must beat: median and mean over time, and the mean along the motion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from endoseg_cli.evaluation.video.optical_flow import Grey, flow_between, warp

ROUNDING = 1e-6


class BaselineFrame(NamedTuple):
    """What a baseline keeps of a frame."""

    probability: Tensor
    """(1, C, H, W)."""
    grey: Grey
    """The frame in grey, (H, W)."""


class TemporalMedian:
    """Takes each pixel's median probability over the window."""

    def encode(self, images: Tensor, probability: Tensor, uncertainty: Tensor) -> BaselineFrame:
        """Keep a frame (1, 3, H, W), normalised as for ImageNet, and its probability (1, C, H, W)."""
        shade = images[0].float().mean(dim=0)
        levels = (shade * 58 + 114).clamp(0, 255).to(torch.uint8)  # undoes the normalisation, near enough for motion
        return BaselineFrame(probability=probability, grey=levels.cpu().numpy())

    def fuse(self, window: Sequence[BaselineFrame], centre: int, offsets: Sequence[float]) -> Tensor:
        """Return logits (1, C, H, W) for frame `centre`."""
        return torch.logit(self._combine(window, centre), eps=ROUNDING)

    def _combine(self, window: Sequence[BaselineFrame], centre: int) -> Tensor:
        ordered = torch.stack([frame.probability for frame in window]).sort(dim=0).values
        return (ordered[(len(window) - 1) // 2] + ordered[len(window) // 2]) / 2


class TemporalMean(TemporalMedian):
    """Takes each pixel's mean probability over the window."""

    def _combine(self, window: Sequence[BaselineFrame], centre: int) -> Tensor:
        return torch.stack([frame.probability for frame in window]).mean(dim=0)


class FlowMean(TemporalMedian):
    """Takes the mean after moving the neighbours' probabilities along the optical flow."""

    def _combine(self, window: Sequence[BaselineFrame], centre: int) -> Tensor:
        here = window[centre]
        moved = [frame.probability if frame is here else _moved(frame, here) for frame in window]
        return torch.stack(moved).mean(dim=0)


def _moved(frame: BaselineFrame, here: BaselineFrame) -> Tensor:
    flow = flow_between(here.grey, frame.grey)
    planes = [warp(plane.numpy(), flow) for plane in frame.probability[0].float().cpu()]
    return torch.from_numpy(np.stack(planes))[None].to(frame.probability)


BASELINES = {"median over time": TemporalMedian, "mean over time": TemporalMean, "mean along the flow": FlowMean}
"""The baselines by the name that tables show."""
