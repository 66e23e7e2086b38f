"""Dropout masks drawn for a whole batch from (seed, step, network, stream): the same on every device and process."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from endoseg_cli.data.views.augment import random_generator
from endoseg_cli.networks.architecture.unet import UNetConfig


@dataclass(frozen=True, kw_only=True)
class DropoutDraw:
    """Where the dropout of one network in one step comes from, and which part of the batch this process works on."""

    config: UNetConfig
    """The network's widths and dropout probability."""
    seed: int
    """Seed of the run."""
    step: int
    """Number of the step, from 0."""
    network: int
    """Number of the network, from 0."""
    share: tuple[int, int] = (0, 1)
    """(rank, ranks): masks are drawn for the whole batch, so that shares put together make it up."""

    def factors(self, stream: str, batch: int, passes: int = 1) -> Tensor:
        """Return channel factors, 0 or 1/(1-p), as (passes, batch, sum of channels) float32 on the CPU.

        `batch` counts the frames of this process.
        """
        rank, ranks = self.share
        keep = 1 - self.config.dropout
        rng = random_generator(self.seed, self.step, self.network, f"dropout-{stream}")
        kept = torch.from_numpy(rng.random((passes, batch * ranks, sum(_channels(self.config)))) < keep)
        return kept[:, rank * batch : (rank + 1) * batch].float() / keep

    def none(self, batch: int) -> Tensor:
        """Return the factors of one pass that drops nothing, (1, batch, sum of channels)."""
        return torch.ones(1, batch, sum(_channels(self.config)))

    def channels(self, stream: str, batch: int, count: int, dropout: float) -> Tensor:
        """Return factors, 0 or 1/(1-dropout), for `count` channels of a feature, as (batch, count, 1, 1) on the CPU."""
        rank, ranks = self.share
        rng = random_generator(self.seed, self.step, self.network, f"dropout-{stream}")
        kept = torch.from_numpy(rng.random((batch * ranks, count)) < 1 - dropout)
        return kept[rank * batch : (rank + 1) * batch, :, None, None].float() / (1 - dropout)


def split_factors(factors: Tensor, config: UNetConfig) -> list[Tensor]:
    """Return the factors (B, sum of channels) of one pass as the (B, C, 1, 1) masks that `UNet.decode` takes."""
    return [part[..., None, None] for part in torch.split(factors, _channels(config), dim=-1)]


def _channels(config: UNetConfig) -> list[int]:
    return [width for width in config.decoder_channels for _ in range(2)]
