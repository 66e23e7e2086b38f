"""Uncertainty of the stochastic passes, and the dynamic threshold that tells certain pixels from uncertain ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from endoseg_cli.training.shared.precision import at_least_float32

ThresholdScope = Literal["image", "pseudo-class"]
"""Among which pixels the dynamic threshold is taken: the whole image, or each class of the pseudo-label by itself."""


@dataclass(frozen=True, kw_only=True)
class ThresholdRule:
    """Which pixels of a pseudo-label are certain; as it stands, the paper's rule."""

    scope: ThresholdScope = "image"
    """Pixels that the dynamic threshold is taken among."""
    min_confidence: float = 0.5
    """No pixel is certain whose uncertainty is above that of this probability; 0.5 excludes none."""


PAPER_RULE = ThresholdRule()
"""The paper's rule for certain pixels."""
PERCENTILE = 95
"""No threshold keeps pixels above this percentile of the uncertainty."""


def binary_entropy(probability: Tensor) -> Tensor:
    """Return h(p) = -p ln p - (1-p) ln(1-p) in nats, exactly 0 at p = 0 and p = 1 and with a finite gradient there.

    Any shape; half precision is computed and returned in float32.
    """
    p = at_least_float32(probability)
    precision = torch.finfo(p.dtype)
    # The clamps change no value between 0 and 1; they keep 0 * log(0) at 0, and its gradient finite.
    foreground = p * torch.log(p.clamp(min=precision.tiny))
    background = (1 - p) * torch.log1p(-p.clamp(max=1 - precision.eps / 2))
    return -(foreground + background)


def mean_probability(passes: Tensor) -> Tensor:
    """Return P = mean_k p^k of K stochastic passes (K, B, C, H, W) as (B, C, H, W) (Endo-SemiS, pseudo-labels)."""
    return at_least_float32(passes).mean(dim=0)


def expected_entropy(passes: Tensor) -> Tensor:
    """Return U = mean_k h(p^k) of K stochastic passes (K, B, C, H, W) as (B, C, H, W), in nats.

    The mean of entropies, not the entropy of the mean (Endo-SemiS, uncertainty-guided pseudo-labels).
    """
    return binary_entropy(passes).mean(dim=0)


def entropy_of_both(first: Tensor, second: Tensor) -> Tensor:
    """Return h of the mean probability over both networks' stochastic passes, each (K, B, C, H, W), in nats.

    Not in the paper. Where networks disagree it is large, however sure either is; it tells errors better than U.
    """
    return binary_entropy((mean_probability(first) + mean_probability(second)) / 2)


def dynamic_threshold(uncertainty: Tensor, members: Tensor | None = None) -> Tensor:
    """Return T = min(mean + std, 95th percentile) of U per image and class (Endo-SemiS, dynamic threshold).

    `uncertainty` (B, C, H, W), not negative, gives (B, C, 1, 1). The standard deviation is unbiased, the percentile
    interpolates linearly. With `members`, bool (B, C, H, W), only those pixels count: a lone one is its own threshold,
    and where there is none the threshold is 0. The least uncertain member is never above the threshold.
    """
    values = at_least_float32(uncertainty).flatten(2)  # (B, C, H * W)
    inside = torch.ones_like(values, dtype=torch.bool) if members is None else members.flatten(2)
    count = inside.sum(dim=-1, keepdim=True)
    threshold = torch.minimum(_mean_plus_std(values, inside, count), _percentile(values, inside, count))
    return threshold.masked_fill(count == 0, 0.0).unsqueeze(-1)


def certain_mask(uncertainty: Tensor, label: Tensor | None = None, rule: ThresholdRule = PAPER_RULE) -> Tensor:
    """Return U^b = 1[U <= T], bool (B, C, H, W), for `uncertainty` and the bool `label`, both (B, C, H, W).

    With the scope "image" there is one threshold per image and class, as in the paper. With "pseudo-class" the same
    rule is applied among the pixels that `label` calls foreground, and again among the others. This departs from the
    paper: a small lesion is the uncertain part of its picture, so a threshold over the picture drops all of it, and
    what is left teaches nothing but background. But then most of what is wrongly called foreground is kept as well,
    while the doubtful background around it is not; `min_confidence` weighs against that.
    """
    if rule.scope == "image":
        threshold = dynamic_threshold(uncertainty)
    else:
        assert label is not None, "the scope pseudo-class needs the pseudo-label"
        foreground, background = dynamic_threshold(uncertainty, label), dynamic_threshold(uncertainty, ~label)
        threshold = torch.where(label, foreground, background)
    certain = uncertainty <= threshold
    if rule.min_confidence > 0.5:
        certain &= uncertainty <= binary_entropy(uncertainty.new_tensor(rule.min_confidence))
    return certain


def _mean_plus_std(values: Tensor, inside: Tensor, count: Tensor) -> Tensor:
    """Return mean + unbiased standard deviation of the pixels inside, (B, C, 1)."""
    # Above the smallest value, because then an image of one value has mean = that value without rounding; a mean that
    # is rounded down would call every pixel of it uncertain.
    low = values.masked_fill(~inside, torch.inf).amin(dim=-1, keepdim=True)
    above = (values - low).masked_fill(~inside, 0.0)
    mean = above.sum(dim=-1, keepdim=True) / count.clamp(min=1)
    squares = (above - mean).masked_fill(~inside, 0.0).square().sum(dim=-1, keepdim=True)
    return low + (mean + (squares / (count - 1).clamp(min=1)).sqrt())


def _percentile(values: Tensor, inside: Tensor, count: Tensor) -> Tensor:
    """Return the 95th percentile of the pixels inside, (B, C, 1), interpolated linearly."""
    size = values.shape[-1]
    # torch.quantile sorts everything, refuses large inputs and knows no members. Of n values the percentile needs the
    # n - floor(0.95 (n - 1)) largest, and fewer of fewer values; what is outside sorts below every uncertainty.
    largest = values.masked_fill(~inside, -1.0).topk(size - PERCENTILE * (size - 1) // 100, dim=-1).values
    last = (count - 1).clamp(min=0)
    position = PERCENTILE * last  # in hundredths of a rank, in whole numbers to round nowhere
    lower = position // 100
    upper = torch.minimum(lower + 1, last)
    weight = (position % 100).to(values.dtype) / 100
    return torch.lerp(largest.gather(-1, last - lower), largest.gather(-1, last - upper), weight)
