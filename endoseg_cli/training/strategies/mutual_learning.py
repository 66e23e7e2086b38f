"""Mutual learning: two networks that see the same labelled frames pull each other's logits and features together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from endoseg_cli.training.shared.distributed import ALONE, Ranks
from endoseg_cli.training.shared.precision import at_least_float32

SSIM_WINDOW = 11
"""Side of the Gaussian window in pixels."""
SSIM_SIGMA = 1.5
"""Standard deviation of the Gaussian window in pixels."""
SSIM_CONSTANTS = (0.01**2, 0.03**2)
"""What keeps the luminance and the contrast term finite, for a data range of 1."""
SMALLEST_RANGE = 1e-6
"""Features that spread less than this are not spread out to [0, 1], but count as equal."""
SMALLEST_VARIANCE = 1e-5
"""Channels of the bottleneck that vary less than this are not spread out to variance 1."""


@dataclass(frozen=True, kw_only=True)
class MutualForm:
    """What mutual learning compares; as it stands, what the paper does."""

    on: Literal["logits", "probabilities"] = "logits"
    """What the image level takes the squared difference of."""
    low_level: float = 0.5
    """Weight of the first-stage features' dissimilarity, for each network."""
    bottleneck: Literal["paper", "normalised"] = "paper"
    """normalised: the reducer's last ReLU is left out, every channel has mean 0 and variance 1 over batch and positions
    before the softmax, and the divergence is a mean over positions, not a sum."""


PAPER_FORM = MutualForm()
"""Mutual learning as in the paper."""
BOTTLENECK_WEIGHT = 0.5
"""Weight of the divergence of bottlenecks, for each network, as in the paper."""


def mutual_values(
    logits: tuple[Tensor, Tensor],
    low_level: tuple[Tensor, Tensor],
    bottleneck: tuple[Tensor, Tensor],
    form: MutualForm = PAPER_FORM,
    ranks: Ranks = ALONE,
) -> dict[str, Tensor]:
    """Return the terms of L_mutual(1) + L_mutual(2) before weighting (Endo-SemiS, mutual learning).

    Each argument holds what networks 1 and 2 gave for the same labelled frames: logits (B, C, H, W), first-stage
    encoder features (B, 64, H/2, W/2), reduced bottlenecks (B, 128, H/32, W/32). With the paper's weights the sum is
    2 MSE + (1 - SSIM) + 0.5 [KL(1||2) + KL(2||1)]. No gradient is stopped: both networks move.
    """
    name, compare = _IMAGE_LEVEL[form.on]
    terms = {name: compare(*logits)}
    if form.low_level:
        terms["low_level_dissimilarity"] = low_level_dissimilarity(*low_level)
    first, second = bottleneck
    if form.bottleneck == "normalised":
        positions = first.shape[-2] * first.shape[-1]
        first, second = normalised_channels(first, ranks), normalised_channels(second, ranks)
    else:
        positions = 1
    divergence = bottleneck_divergence(first, second) + bottleneck_divergence(second, first)
    return {**terms, "bottleneck_kl": divergence / positions}


def mutual_weights(form: MutualForm, logit_weight: float) -> dict[str, float]:
    """Return what each term of `mutual_values` counts within the sum for both networks."""
    name, _ = _IMAGE_LEVEL[form.on]
    return {
        name: 2 * logit_weight,
        "low_level_dissimilarity": 2 * form.low_level,
        "bottleneck_kl": BOTTLENECK_WEIGHT,
    }


def probability_consistency(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean squared difference of two networks' probabilities, given logits (B, C, H, W).

    Not in the paper. It cannot exceed 1, where squared logits of sure networks outweigh every other term.
    """
    return functional.mse_loss(torch.sigmoid(at_least_float32(first)), torch.sigmoid(at_least_float32(second)))


def normalised_channels(values: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """Return (B, C, H, W) with mean 0 and variance 1 in every channel, over the batch of all processes.

    Without weights to learn: a reducer that gives one value everywhere would make the divergence zero, and what the
    paper compares (after a ReLU, unnormalised) does become that. The gradient runs through mean and variance.
    """
    mean, variance = _moments(at_least_float32(values), ranks)
    return (at_least_float32(values) - mean) * torch.rsqrt(variance + SMALLEST_VARIANCE)


def _moments(values: Tensor, ranks: Ranks) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel of (B, C, H, W), (C, 1, 1), over the batch of all processes."""
    mean = ranks.mean(values.mean((0, 2, 3)))[:, None, None]
    return mean, ranks.mean((values - mean).square().mean((0, 2, 3)))[:, None, None]


def bottleneck_spread(bottleneck: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """Return the standard deviation over batch and positions of (B, C, H, W), as a mean over the channels.

    Near 0 the reducer gives one value whatever it sees, and comparing bottlenecks compares nothing.
    """
    return _moments(at_least_float32(bottleneck), ranks)[1].sqrt().mean()


def logit_consistency(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean squared difference of two networks' logits (B, C, H, W) (mutual learning, image level)."""
    return functional.mse_loss(at_least_float32(first), at_least_float32(second))


def low_level_dissimilarity(first: Tensor, second: Tensor) -> Tensor:
    """Return 1 - SSIM of two networks' low-level features (B, C, H, W), as a scalar (mutual learning, feature level).

    SSIM has a Gaussian window (11, sigma 1.5), no padding, and is averaged over the places where the window fits; a map
    smaller than the window gets the largest odd window that fits. Features have no fixed range, so the data range of 1
    is made by one scaling to [0, 1] per image, over all channels of both networks: a joint one, because separate ones
    would hide it if the networks' features drift apart in scale. The gradient runs through the scaling as well, else
    making all features small would lower the loss.
    """
    first, second = at_least_float32(first), at_least_float32(second)
    low = torch.minimum(first.amin(dim=(1, 2, 3), keepdim=True), second.amin(dim=(1, 2, 3), keepdim=True))
    high = torch.maximum(first.amax(dim=(1, 2, 3), keepdim=True), second.amax(dim=(1, 2, 3), keepdim=True))
    spread = (high - low).clamp(min=SMALLEST_RANGE)
    return 1 - _structural_similarity((first - low) / spread, (second - low) / spread)


def bottleneck_divergence(first: Tensor, second: Tensor) -> Tensor:
    """Return KL(first || second) between channel-softmaxes of two reduced bottlenecks (B, C, H, W), in nats.

    Summed over positions and divided by the batch size (mutual learning, bottleneck features).
    """
    log_first = functional.log_softmax(at_least_float32(first), dim=1)
    log_second = functional.log_softmax(at_least_float32(second), dim=1)
    return functional.kl_div(log_second, log_first, reduction="sum", log_target=True) / first.shape[0]


def _structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean SSIM of two tensors (B, C, H, W) with values in [0, 1], as a scalar."""
    with torch.autocast(first.device.type, enabled=False):  # a product in half precision would swallow the variances
        return _mean_similarity(first, second)


def _mean_similarity(first: Tensor, second: Tensor) -> Tensor:
    # Two products with banded matrices were faster on the CPU than grouped convolutions (64 channels, 128 x 128), and
    # four blurs after one another faster than one of a stack. The two variances are only needed as their sum.
    rows, columns = (_window_matrix(side, first) for side in first.shape[-2:])
    mean_first, mean_second, squares, products = (
        rows @ values @ columns.T for values in (first, second, first.square() + second.square(), first * second)
    )
    mean_product = mean_first * mean_second
    mean_squares = mean_first.square() + mean_second.square()
    luminance = (2 * mean_product + SSIM_CONSTANTS[0]) / (mean_squares + SSIM_CONSTANTS[0])
    structure = 2 * (products - mean_product) + SSIM_CONSTANTS[1]
    return (luminance * structure / (squares - mean_squares + SSIM_CONSTANTS[1])).mean()


def _window_matrix(side: int, like: Tensor) -> Tensor:
    """Return the matrix (positions, side) whose rows are the Gaussian window at every place where it fits."""
    window = min(SSIM_WINDOW, side - (side + 1) % 2)  # an even side fits an odd window that is one smaller
    positions = torch.arange(side - window + 1, device=like.device)[:, None]
    offsets = torch.arange(side, device=like.device) - positions - window // 2
    weights = torch.exp(-offsets.to(like.dtype).square() / (2 * SSIM_SIGMA**2))
    weights = weights.masked_fill(offsets.abs() > window // 2, 0.0)
    return weights / weights.sum(dim=1, keepdim=True)


_IMAGE_LEVEL: dict[str, tuple[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "logits": ("logit_mse", logit_consistency),
    "probabilities": ("probability_mse", probability_consistency),
}
