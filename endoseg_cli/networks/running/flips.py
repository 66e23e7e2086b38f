"""The mean over a picture and its mirror images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

FLIPS = ((), (3,), (2,), (2, 3))
"""The axes of (N, C, H, W) that each mirror image turns round: none, left-right, upside down, both."""


def over_flips(images: Tensor, run: Callable[[Tensor], list[Tensor]]) -> list[Tensor]:
    """Return, of each network, the logits of its mean probability over mirror images, turned back."""
    turned = [run(images.flip(axes)) for axes in FLIPS]
    each = [
        torch.stack([torch.sigmoid(one.float()).flip(axes) for one, axes in zip(ones, FLIPS, strict=True)])
        for ones in zip(*turned, strict=True)
    ]
    return [torch.logit(maps.mean(0), eps=1e-7) for maps in each]
