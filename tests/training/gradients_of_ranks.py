"""Computes one step's gradients in float64, alone or as one of several processes; torchrun starts it as a module."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from endoseg_cli.training.engine.learner import Learner
from endoseg_cli.training.engine.trainer import Trainer
from endoseg_cli.training.shared.distributed import Ranks, with_ranks
from endoseg_cli.training.strategies.objective import ObjectiveWeights
from tests.training.small import CONFIG, boxed, make_data

WEIGHTS = ObjectiveWeights(unsupervised=0.5, mutual=0.5, dice=1.0, reduction="kept")


class DoubleLearner(Learner):
    """Two networks in float64, in which processes can differ by no more than rounding."""

    def normalise(self, images: Tensor) -> Tensor:
        return super().normalise(images).double()


def compute(frames: Path, folder: Path, ranks: Ranks) -> dict[str, Any]:
    """Return the values, gradients and BatchNorm statistics of step 1, and the Dice of the networks."""
    torch.set_num_threads(1)
    config = boxed(replace(CONFIG, batch_size=4, warm_up_steps=0, reduction="kept"), 0.5)
    data = make_data(frames / str(ranks.rank), val=11)
    trainer = Trainer(config, data, folder=folder, device=torch.device("cpu"), ranks=ranks)
    trainer.learner = learner = DoubleLearner(config, device=torch.device("cpu"), ranks=ranks)
    for network in learner.networks:
        network.double()
    values = learner.compute_gradients(trainer.feed.batches[1], 1, WEIGHTS)
    trainer.validate()
    networks = learner.networks
    return {
        "values": dict(values),
        "gradients": [parameter.grad for network in networks for parameter in network.parameters()],
        "statistics": [buffer for network in networks for buffer in network.buffers()],
        "best": trainer.best,
    }


def main(frames: Path, folder: Path) -> None:
    """Compute as one of the processes; the first writes the result."""
    found = with_ranks(torch.device("cpu"), lambda ranks, _: (ranks, compute(frames, folder, ranks)))
    if found[0].leads:
        torch.save(found[1], folder / "gradients.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
