"""The corrective network, its optimiser, and one step of its training; the segmentation networks stay frozen."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from endoseg_cli.networks.architecture.corrective import CorrectiveConfig, CorrectiveNetwork
from endoseg_cli.networks.files.bundle import IMAGENET_MEAN, IMAGENET_STD
from endoseg_cli.networks.running.normalise import Normaliser
from endoseg_cli.training.corrective.config import CorrectiveTrainConfig
from endoseg_cli.training.corrective.loss import consistency_loss, corrective_loss
from endoseg_cli.training.corrective.windows import WindowBatch
from endoseg_cli.training.shared.distributed import ALONE, Ranks, mean_gradients, share_batch_norm

LARGEST_GRADIENT = 1.0
"""Norm that gradients are cut down to: the correction begins at zero, and its first steps are steep."""


class CorrectiveLearner:
    """Trains a corrective network; what a step computes follows from the network and the batch."""

    def __init__(
        self,
        config: CorrectiveTrainConfig,
        architecture: CorrectiveConfig,
        *,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.ranks, self.device = config, ranks, device
        torch.manual_seed(config.seed)
        network = CorrectiveNetwork(architecture)
        share_batch_norm(network, ranks, device)
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        # as the corrector does, whatever normalisation the segmentation networks have
        self._normalise = Normaliser(IMAGENET_MEAN, IMAGENET_STD, device)

    def compute_gradients(self, batch: WindowBatch) -> dict[str, float]:
        """Leave the gradients of a batch in the network; return every term of the loss."""
        self.network.train()
        now, following = self.correct(batch)
        truth, known = batch.truth.to(self.device), batch.known.to(self.device)
        terms = {
            "segmentation": (
                corrective_loss(now, truth[:, 0], known[:, 0]) + corrective_loss(following, truth[:, 1], known[:, 1])
            )
            / 2,
            "consistency": consistency_loss(now, following, batch.flow.to(self.device), truth),
        }
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(terms["segmentation"] + self.config.consistency_weight * terms["consistency"])
        mean_gradients(self.network.parameters(), self.ranks)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        stacked = self.ranks.mean(torch.stack([*(term.detach() for term in terms.values()), norm]))
        return dict(zip([*terms, "gradient"], stacked.tolist(), strict=True))

    def correct(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """Return corrected logits (B, 1, H, W) of the batch's corrected frame and of the next one."""
        images = self._normalise(batch.images.to(self.device))
        window = self.network.encode_window(
            images, batch.probability.to(self.device), batch.uncertainty.to(self.device)
        )
        interval = batch.interval.to(self.device)

        def fuse(centre: int) -> Tensor:
            chosen = batch.pattern.window(centre)
            places = [batch.pattern.places[index] for index in chosen]
            offsets = [(place - centre) * interval for place in places]
            fused: Tensor = self.network.fuse([window[index] for index in chosen], places.index(centre), offsets)
            return fused

        return fuse(0), fuse(1)

    def update(self, learning_rate: float) -> None:
        """Move the network along its gradients."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.step()

    def state(self) -> dict[str, Any]:
        """Return everything that training changes."""
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
