"""What the networks say as teachers: the part of a step without gradient, with nothing computed twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from endoseg_cli.data.views.cutmix import paste_box
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.training.shared.precision import at_least_float32
from endoseg_cli.training.strategies.dropout import split_factors


@dataclass(frozen=True, kw_only=True)
class TeacherViews:
    """What the teachers look at; pictures are (B, 3, H, W), normalised."""

    weak_1: Tensor
    """w1 of the unlabelled frames."""
    weak_2: Tensor
    """w2 of the unlabelled frames."""
    boxes: Tensor
    """CutMix boxes of the unlabelled frames, (B, 1, H, W) bool."""
    boxed: Tensor
    """Positions of the frames whose w2 is looked at, those with a box at least, (N,) int64 on the pictures' device."""
    labeled: Tensor
    """x_l, the labelled frames."""


@dataclass(frozen=True, kw_only=True)
class TeacherMaps:
    """What one teacher says; probabilities without gradient."""

    passes: Tensor
    """p^k of K stochastic passes over w1, with those over w2 pasted into the boxes, (K, B, C, H, W)."""
    labeled: Tensor
    """p of the labelled frames in eval mode, without dropout, (B, C, H, W)."""
    other_passes: Tensor | None = None
    """p^k over w2, with those over w1 pasted into the boxes, where all of w2 was looked at."""


@torch.no_grad()
def teach(network: UNet, views: TeacherViews, dropout_1: Tensor, dropout_2: Tensor) -> TeacherMaps:
    """Return a teacher's maps (Endo-SemiS, uncertainty-guided pseudo-labels and cross-supervision on labelled frames).

    `dropout_1` and `dropout_2` are the channel factors (K, B, channels) of the K passes over w1 and w2. BatchNorm is in
    eval mode, so the encoder, the decoder up to its first dropout, and what the skips add to its convolutions are
    deterministic: they run once for all K passes, on w1, the boxed w2 and the labelled frames together; w2 counts
    nowhere but in a box, so frames without one are left out. The network is left in eval mode.
    """
    network.eval()
    frames, boxed = len(views.weak_1), len(views.boxed)
    unlabeled = frames + boxed
    features = network.encode(torch.cat([views.weak_1, views.weak_2[views.boxed], views.labeled]))
    start = network.decode_start(features)
    labeled = network.decode_rest(start[unlabeled:], _rows(features, slice(unlabeled, None)))
    ours, ours_start = _rows(features, slice(unlabeled)), start[:unlabeled]
    skips = network.decode_skips(ours)
    factors = torch.cat([dropout_1, dropout_2[:, views.boxed]], dim=1)
    # float32 logits: a sigmoid in half precision is 1 above 0.998, where the entropy is then 0
    passes = torch.stack(
        [
            torch.sigmoid(
                at_least_float32(network.decode_rest(ours_start, ours, split_factors(one, network.config), skips))
            )
            for one in factors.to(start.dtype)
        ]
    )
    height, width = views.weak_1.shape[-2:]
    first, second = passes[:, :frames, :, :height, :width], passes[:, frames:, :, :height, :width]
    others = None
    if boxed:
        whole, first = first, first.clone()
        first[:, views.boxed] = paste_box(whole[:, views.boxed], second, views.boxes[views.boxed])
        others = paste_box(second, whole, views.boxes) if boxed == frames else None
    return TeacherMaps(
        passes=first,
        labeled=torch.sigmoid(at_least_float32(labeled[..., :height, :width])),
        other_passes=others,
    )


def _rows(features: Sequence[Tensor], rows: slice) -> list[Tensor]:
    return [feature[rows] for feature in features]
