"""Train the two U-Nets; each step is short and does one thing, so that it can be read and overridden."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from endoseg_cli.data.datasets import LabeledBatch, LabeledBatches
from endoseg_cli.data.frames import FrameStore
from endoseg_cli.errors import TrainingError, UsageError
from endoseg_cli.networks.bundle import IMAGENET_MEAN, IMAGENET_STD
from endoseg_cli.networks.pretrained import load_encoder_weights, load_network_weights
from endoseg_cli.networks.unet import UNet
from endoseg_cli.training.checkpoint import load_checkpoint, save_checkpoint
from endoseg_cli.training.config import TrainConfig
from endoseg_cli.training.objective import supervised_terms
from endoseg_cli.training.validation import ValidationScores, validate

NETWORKS = 2
"""Endo-SemiS trains two networks of one architecture, which differ in their random start."""


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """What one training step did."""

    step: int
    """Number of the step, from 1."""
    learning_rate: float
    """Learning rate of the step."""
    terms: Mapping[str, float]
    """Every term of the loss, named `<term>_<network>`."""


@dataclass(frozen=True, kw_only=True)
class ValidationRecord:
    """What one validation found."""

    step: int
    """Steps trained so far."""
    epoch: float
    """Passes over the training frames so far."""
    seconds: float
    """Seconds trained so far, over all sittings."""
    terms: Mapping[str, float]
    """Mean of every term since the last validation."""
    scores: tuple[ValidationScores, ...]
    """Scores of each network."""
    improved: tuple[bool, ...]
    """Which networks reached their best Dice."""


class Trainer:
    """A training run that can be stopped at any step and continued to the same result.

    `frames` is the labelled set, `validation` the set on which each network's best weights are chosen; checkpoints go
    to `folder`. Raises TrainingError when a loss is no longer finite; the last good checkpoint stays.
    """

    def __init__(
        self, config: TrainConfig, *, frames: FrameStore, validation: FrameStore, folder: Path, device: torch.device
    ) -> None:
        self.config, self.frames, self.validation = config, frames, validation
        self.folder, self.device = folder, device
        self.networks = [self._build_network(number) for number in range(NETWORKS)]
        self.optimisers = [
            torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
            for network in self.networks
        ]
        self._threads = ThreadPoolExecutor(NETWORKS)
        self.step = 0
        self.seconds = 0.0
        self.best = [-math.inf] * NETWORKS
        self.steps_per_epoch = math.ceil(len(frames) / config.batch_size)
        self.total_steps = config.max_steps or config.epochs * self.steps_per_epoch
        self._mean = torch.tensor(IMAGENET_MEAN, device=device).view(3, 1, 1) * 255
        self._std = torch.tensor(IMAGENET_STD, device=device).view(3, 1, 1) * 255

    def fit(
        self,
        on_step: Callable[[StepRecord], None] | None = None,
        on_validation: Callable[[ValidationRecord], None] | None = None,
    ) -> None:
        """Train up to the last step, validating and writing checkpoints on the way."""
        sums: dict[str, float] = {}
        steps_since = 0
        began = time.monotonic() - self.seconds
        for batch in self._batches():
            terms = self.train_step(batch)
            self.step += 1
            self.seconds = time.monotonic() - began
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value
            steps_since += 1
            if on_step is not None:
                on_step(StepRecord(step=self.step, learning_rate=self.learning_rate(self.step - 1), terms=terms))
            if self.step % self._validation_interval == 0 or self.step == self.total_steps:
                record = self._validate({name: value / steps_since for name, value in sums.items()})
                if on_validation is not None:
                    on_validation(record)
                sums, steps_since = {}, 0

    def train_step(self, batch: LabeledBatch) -> dict[str, float]:
        """Train both networks on one batch and return the value of every term."""
        # The step's draws follow from its number alone, so a resumed run repeats those of an uninterrupted one.
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)
        images, masks = self.normalise(batch.images), batch.masks.to(self.device)
        found = self._threads.map(lambda number: self._supervise(number, images, masks), range(NETWORKS))
        values = {f"{name}_{n}": term.item() for n, terms in enumerate(found, start=1) for name, term in terms.items()}
        self._check_finite(values, batch)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate(self.step)
            optimiser.step()
        return values

    def _supervise(self, number: int, images: Tensor, masks: Tensor) -> dict[str, Tensor]:
        torch.set_num_threads(1)
        network, optimiser = self.networks[number], self.optimisers[number]
        network.train()
        features = network.encode(images)
        height, width = images.shape[-2:]
        logits = network.decode(features, network.sample_dropout_masks(len(images)))[..., :height, :width]
        terms = supervised_terms(logits, masks)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(terms["supervised"] + self.config.dice_weight * terms["dice"])
        return {name: term.detach() for name, term in terms.items()}

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step: a cosine from the first to the final one over the whole run."""
        first, final = self.config.learning_rate, self.config.final_learning_rate
        progress = step / max(self.total_steps - 1, 1)
        return final + (first - final) * (1 + math.cos(math.pi * progress)) / 2

    def normalise(self, images: Tensor) -> Tensor:
        """Return uint8 images (B, 3, H, W) as ImageNet-normalised float on the device."""
        images = images.to(self.device, non_blocking=True).to(memory_format=torch.channels_last)
        return (images.float() - self._mean) / self._std

    def save(self) -> None:
        """Write the checkpoint from which `resume` goes on."""
        save_checkpoint(self.folder / "last.pt", self._state())

    def resume(self) -> None:
        """Go on from the folder's last checkpoint."""
        state = load_checkpoint(self.folder / "last.pt")
        if state["total_steps"] != self.total_steps:
            raise UsageError(
                f"{self.folder} was trained towards {state['total_steps']} steps, now {self.total_steps} are asked for",
                hint="resume with the settings that the run was started with",
            )
        for network, optimiser, saved in zip(self.networks, self.optimisers, state["networks"], strict=True):
            network.load_state_dict(saved["network"])
            optimiser.load_state_dict(saved["optimiser"])
        self.step, self.seconds, self.best = state["step"], state["seconds"], list(state["best"])

    def best_networks(self) -> list[UNet]:
        """Return both networks with the weights that validated best, in eval mode on the CPU."""
        networks = []
        for number in range(1, NETWORKS + 1):
            network = UNet(self.config.network)
            network.load_state_dict(load_checkpoint(self._best_path(number))["network"])
            networks.append(network.eval())
        return networks

    def _build_network(self, number: int) -> UNet:
        torch.manual_seed(self.config.seed * NETWORKS + number)
        network = UNet(self.config.network)
        if self.config.start_from is not None:
            load_network_weights(network, number, Path(self.config.start_from))
        elif self.config.encoder_weights != "none":
            load_encoder_weights(network, Path(self.config.encoder_weights))
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _batches(self) -> DataLoader[LabeledBatch]:
        batches = LabeledBatches(
            self.frames,
            size=self.config.size,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            augment=self.config.augment,
        )
        return DataLoader(
            batches,
            batch_size=None,
            sampler=range(self.step, self.total_steps),
            num_workers=self.config.workers,
            pin_memory=self.device.type == "cuda",
        )

    @property
    def _validation_interval(self) -> int:
        return self.config.validate_every or self.steps_per_epoch

    def _validate(self, terms: Mapping[str, float]) -> ValidationRecord:
        scores = tuple(
            validate(network, self.validation, self.config.size, self.normalise) for network in self.networks
        )
        improved = tuple(score.dice > best for score, best in zip(scores, self.best, strict=True))
        for number, (network, score) in enumerate(zip(self.networks, scores, strict=True), start=1):
            if improved[number - 1]:
                self.best[number - 1] = score.dice
                save_checkpoint(self._best_path(number), {"network": network.state_dict(), "step": self.step})
        self.save()
        return ValidationRecord(
            step=self.step,
            epoch=self.step / self.steps_per_epoch,
            seconds=self.seconds,
            terms=terms,
            scores=scores,
            improved=improved,
        )

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "total_steps": self.total_steps,
            "seconds": self.seconds,
            "best": self.best,
            "networks": [
                {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
                for network, optimiser in zip(self.networks, self.optimisers, strict=True)
            ],
        }

    def _best_path(self, number: int) -> Path:
        return self.folder / f"best{number}.pt"

    def _check_finite(self, values: Mapping[str, float], batch: LabeledBatch) -> None:
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        if broken:
            files = ", ".join(str(self.frames.path(index)) for index in batch.indices.tolist())
            raise TrainingError(
                f"step {self.step + 1}: the loss term {broken[0]} is not finite; the batch held {files}",
                hint="lower --learning-rate; the last good checkpoint is kept",
            )
