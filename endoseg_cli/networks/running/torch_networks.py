"""Networks that torch runs on one batch: side by side where that is faster, else one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.running.side_by_side import threads_for


class TorchNetworks:
    """Normalised pictures (N, 3, H, W) to each network's logits (N, C, H, W).

    `side_by_side`, on a CPU, several have a thread each where torch has as many, in the caller's precision.
    """

    def __init__(self, networks: Sequence[UNet], *, side_by_side: bool) -> None:
        self.networks = list(networks)
        several = side_by_side and 1 < len(networks) <= torch.get_num_threads()
        self._threads: ThreadPoolExecutor | None = threads_for(len(networks)) if several else None

    @property
    def are_side_by_side(self) -> bool:
        """Whether each has a thread of its own."""
        return self._threads is not None

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return the logits of each network."""
        if self._threads is None:
            return [network(images) for network in self.networks]
        # what holds in the calling thread does not in another by itself
        dtype, is_half = torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled("cpu")

        def run(network: UNet) -> Tensor:
            with torch.inference_mode(), torch.autocast("cpu", dtype=dtype, enabled=is_half):
                logits: Tensor = network(images)
                return logits

        return list(self._threads.map(run, self.networks))
