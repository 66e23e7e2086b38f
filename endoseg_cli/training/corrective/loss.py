"""What the corrective network learns from: the truth, and that consecutive outputs agree once they are aligned."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from endoseg_cli.data.clips.training_clips import FLOW_STRIDE

SMOOTH_SHARE = 0.002
"""Added to both sides of the soft Dice, as a share of the pixels, so that an empty frame is no 0 / 0."""

COMES_OR_GOES = 0.5
"""Difference of the aligned truth from one frame to the next beyond which it is not asked to stay."""


def corrective_loss(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Return binary cross-entropy plus soft Dice loss of corrected logits against the truth, a scalar.

    All (B, C, H, W); `weight` is 0 where the truth is not known (pseudo-labels that are not certain).
    """
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, truth, weight, reduction="mean")
    said, smooth = torch.sigmoid(logits) * weight, SMOOTH_SHARE * truth[0, 0].numel()
    common = (said * truth).sum((2, 3))
    total = said.sum((2, 3)) + (truth * weight).sum((2, 3))
    return cross_entropy + (1 - (2 * common + smooth) / (total + smooth)).mean()


def consistency_loss(now: Tensor, following: Tensor, flow: Tensor, truth: Tensor | None = None) -> Tensor:
    """Return the mean squared difference of two consecutive outputs' probabilities after alignment, a scalar.

    `now` and `following` are logits (B, C, H, W), `flow` (B, 2, h, w) says where each pixel of the one lies in the
    other, minus where it is, in pixels of the logits, x first. Pixels that left the frame do not count, nor, given the
    `truth` (B, 2, C, H, W) of both, those where it comes or goes itself: behind a fold, or out of the view.
    """
    aligned, inside = align(torch.sigmoid(following), flow)
    if truth is not None:
        inside = inside * ((align(truth[:, 1], flow)[0] - truth[:, 0]).abs() <= COMES_OR_GOES)
    difference = (torch.sigmoid(now) - aligned).square() * inside
    return difference.sum() / inside.expand_as(difference).sum().clamp(min=1)


def align(picture: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Fetch each pixel of `picture` (B, C, H, W) from where the flow (B, 2, h, w) points; also return what lay inside.

    The flow may be coarser than the picture; its numbers are pixels of the picture.
    """
    height, width = picture.shape[-2:]
    flow = functional.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    # grid_sample counts from -1 to 1 between the outer edges of the outer pixels
    x = (columns + flow[:, 0] + 0.5) * (2 / width) - 1
    y = (rows + flow[:, 1] + 0.5) * (2 / height) - 1
    inside = ((x.abs() <= 1) & (y.abs() <= 1))[:, None].to(picture.dtype)
    grid = torch.stack([x, y], dim=-1).to(picture.dtype)
    return functional.grid_sample(picture, grid, padding_mode="border", align_corners=False), inside


def follow(first: Tensor, second: Tensor, scale: int = FLOW_STRIDE) -> Tensor:
    """Return the flow over two steps, given each: (B, 2, h, w) in pixels of a picture `scale` times finer."""
    return first + align(second, first / scale)[0]
