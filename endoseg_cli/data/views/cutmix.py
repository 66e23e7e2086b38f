"""The CutMix box: drawn per unlabelled frame, it pastes the second weak view and every map of it into the first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from endoseg_cli.data.views.augment_config import CutMixConfig


@dataclass(frozen=True, kw_only=True)
class CutMixBox:
    """A rectangle of pixels inside a frame."""

    top: int
    """First row."""
    left: int
    """First column."""
    height: int
    """Number of rows."""
    width: int
    """Number of columns."""


def sample_cutmix_box(size: tuple[int, int], rng: np.random.Generator, config: CutMixConfig) -> CutMixBox | None:
    """Draw a box that lies fully inside a frame of `size` = (H, W), or none (Endo-SemiS, CutMix).

    The area is uniform in `config.area`; the ratio of height to width is log-uniform in that part of `config.aspect`
    with which the box still fits, so tall and wide boxes are equally likely; the place is uniform.
    """
    if rng.random() >= config.probability:
        return None
    height, width = size
    area = rng.uniform(*config.area) * height * width
    # A ratio r gives sides sqrt(area * r) and sqrt(area / r); these bounds keep them within the frame.
    low = max(config.aspect[0], area / width**2)
    high = min(config.aspect[1], height**2 / area)
    if low > high:  # a very elongated frame, which no wanted ratio fits: take the fitting one that is nearest
        low = high = high if high < config.aspect[0] else low
    aspect = math.exp(rng.uniform(math.log(low), math.log(high)))
    box_height = min(max(round(math.sqrt(area * aspect)), 1), height)
    box_width = min(max(round(math.sqrt(area / aspect)), 1), width)
    top = int(rng.integers(height - box_height, endpoint=True))
    left = int(rng.integers(width - box_width, endpoint=True))
    return CutMixBox(top=top, left=left, height=box_height, width=box_width)


def box_mask(box: CutMixBox | None, size: tuple[int, int]) -> Tensor:
    """Return a box as a bool mask (1, H, W), all False for no box; frames stack to (B, 1, H, W)."""
    # Filled by numpy: torch shares even this little among threads, up to 100 times slower where they are busy.
    mask = np.zeros((1, *size), dtype=np.bool_)
    if box is not None:
        mask[:, box.top : box.top + box.height, box.left : box.left + box.width] = True
    return torch.from_numpy(mask)


def paste_box(first: Tensor, second: Tensor, boxes: Tensor) -> Tensor:
    """Return `first` with `second` inside each sample's box (Endo-SemiS, CutMix: w1 <- w2).

    `first` and `second` are images or maps (..., B, C, H, W) of any dtype: frames, probabilities, pseudo-labels,
    uncertainties, or K stochastic passes of them. `boxes` is a bool mask (B, 1, H, W).
    """
    return torch.where(boxes, second, first)
