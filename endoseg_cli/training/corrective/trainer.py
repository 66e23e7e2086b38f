"""Train the corrective network from step to step: batches, validations, checkpoints, and the end of the run."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from endoseg_cli.errors import DeviceError, TrainingError
from endoseg_cli.networks.architecture.corrective import CorrectiveNetwork
from endoseg_cli.training.corrective.clips import Clip
from endoseg_cli.training.corrective.config import CorrectiveTrainConfig
from endoseg_cli.training.corrective.learner import CorrectiveLearner
from endoseg_cli.training.corrective.validation import validate_corrective
from endoseg_cli.training.corrective.windows import Windows, validation_windows
from endoseg_cli.training.engine.checkpoint import load_checkpoint, save_checkpoint
from endoseg_cli.training.engine.memory import is_out_of_memory
from endoseg_cli.training.engine.records import CorrectiveRecord, RunListener, StepRecord
from endoseg_cli.training.engine.schedule import fitting_steps
from endoseg_cli.training.engine.statistics import RunningMeans
from endoseg_cli.training.engine.trainer import LAST

BEST = "best.pt"
"""Name of the checkpoint with the weights that validated best."""
RISE_STEPS = 20
"""Steps over which the learning rate rises at first."""


@dataclass(frozen=True, kw_only=True)
class CorrectiveData:
    """The clips of a run."""

    training: Sequence[Clip]
    """Clips to learn from."""
    validation: Sequence[Clip]
    """Clips on which the best weights are chosen."""


class CorrectiveTrainer:
    """A run that can be stopped at any step and continued to the same result, to the bit on a CPU.

    Checkpoints go to `folder`: last.pt, and best.pt with the best weights. Raises TrainingError when a loss is no
    longer finite and DeviceError when the memory does not suffice; the last good checkpoint stays.
    """

    def __init__(
        self,
        config: CorrectiveTrainConfig,
        data: CorrectiveData,
        learner: CorrectiveLearner,
        *,
        folder: Path,
        listener: RunListener | None = None,
    ) -> None:
        self.config, self.learner, self.folder = config, learner, folder
        self.listener = listener or RunListener()
        window = learner.network.config.window
        self.windows = Windows(data.training, window=window, batch_size=config.batch_size, seed=config.seed)
        self.untouched, self.spoiled = (
            validation_windows(data.validation, window, spoiled=spoiled, seed=config.seed) for spoiled in (False, True)
        )
        self.steps_per_epoch = math.ceil(len(data.training) / config.batch_size)
        self.step = 0
        self.seconds = 0.0
        self.best = -math.inf
        self._validation_seconds = 0.0
        self.means = RunningMeans()
        cv2.setNumThreads(1)

    def fit(self) -> None:
        """Train up to the end of the run, validating and writing checkpoints on the way."""
        began = time.monotonic() - self.seconds
        while not self._is_over():
            values = self.train_step()
            self.seconds = time.monotonic() - began
            self._tell_step(values)
            if self.step % self.config.validate_every == 0:
                self.validate()
                self._validation_seconds = time.monotonic() - began - self.seconds
                self.seconds = time.monotonic() - began
        if self.means.counts:  # steps since the last validation
            self.validate()

    def train_step(self) -> dict[str, float]:
        """Train on one batch and return the value of every term."""
        batch = self.windows.batch(self.step, self.learner.ranks.share)
        try:
            values = self.learner.compute_gradients(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise DeviceError(
                f"the memory does not suffice for a batch of {self.config.batch_size} windows",
                hint="use a smaller --batch-size or --size",
            ) from error
        for name, value in values.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"step {self.step + 1}: {name} is not finite",
                    hint="lower --learning-rate; the last good checkpoint is kept",
                )
        self.learner.update(self.learning_rate(self.step))
        self.step += 1
        self.means.add(values)
        return values

    def validate(self) -> None:
        """Score the network, keep its weights if they are the best so far, and write a checkpoint."""
        scores = validate_corrective(self.learner, self.untouched, self.spoiled)
        improved = scores.choice > self.best
        if improved:
            self.best = scores.choice
            self._write(BEST, {"network": self.learner.network.state_dict(), "step": self.step, "scores": vars(scores)})
        means = self.means.means()
        self.means.clear()
        self.save()
        self.listener.on_corrective(
            CorrectiveRecord(
                step=self.step,
                seconds=self.seconds,
                learning_rate=self.learning_rate(self.step - 1),
                values=means,
                scores=vars(scores),
                improved=improved,
            )
        )

    def save(self) -> None:
        """Write the checkpoint from which `resume` goes on."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "sums": self.means.sums,
            "counts": self.means.counts,
            "learner": self.learner.state(),
        }
        self._write(LAST, state)

    def resume(self) -> None:
        """Go on from the folder's last checkpoint; batches and schedule follow from seed and step."""
        state = load_checkpoint(self.folder / LAST)
        self.learner.load_state(state["learner"])
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self.means.sums, self.means.counts = dict(state["sums"]), dict(state["counts"])

    def best_network(self) -> tuple[CorrectiveNetwork, dict[str, float]]:
        """Return the network with the weights that validated best, in eval mode on the CPU, and their scores."""
        state = load_checkpoint(self.folder / BEST)
        network = CorrectiveNetwork(self.learner.network.config)
        network.load_state_dict(state["network"])
        return network.eval(), state["scores"]

    def learning_rate(self, step: int) -> float:
        """Return the learning rate: a short rise, then a cosine over the steps, or over the time if that ends first."""
        first, final = self.config.learning_rate, self.config.final_learning_rate
        progress = step / max(self.config.max_steps - 1, 1)
        if self.config.max_time is not None:
            progress = min(max(progress, self._clock() / self.config.max_time), 1.0)
        cosine = final + (first - final) * (1 + math.cos(math.pi * progress)) / 2
        return cosine * min((step + 1) / RISE_STEPS, 1.0)

    def _is_over(self) -> bool:
        """Return whether the run ends before the next step; a last validation must fit into --max-time."""
        limit = self.config.max_time
        if limit is None or not self.step:
            return self.step >= self.config.max_steps
        return self.step >= self.config.max_steps or self._clock() + self._validation_seconds >= limit

    def _clock(self) -> float:
        return self.learner.ranks.lead(self.seconds)

    def _tell_step(self, values: Mapping[str, float]) -> None:
        self.listener.on_step(
            StepRecord(
                step=self.step,
                total_steps=fitting_steps(self.step, self.seconds, self.config.max_time, self.config.max_steps),
                epoch=self.step / self.steps_per_epoch,
                learning_rate=self.learning_rate(self.step - 1),
                values=values,
                seconds_left=None if self.config.max_time is None else max(self.config.max_time - self.seconds, 0.0),
            )
        )

    def _write(self, name: str, state: dict[str, Any]) -> None:
        if self.learner.ranks.leads:
            save_checkpoint(self.folder / name, state)
