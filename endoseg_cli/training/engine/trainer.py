"""Train the two U-Nets from step to step: batches, validations, checkpoints, and the end of the run."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor

from endoseg_cli.data.views.datasets import TrainingBatch
from endoseg_cli.errors import TrainingError
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.training.engine.checkpoint import load_checkpoint, save_checkpoint
from endoseg_cli.training.engine.feed import Feed, TrainingData
from endoseg_cli.training.engine.learner import NETWORKS, Learner, Start
from endoseg_cli.training.engine.memory import explain_memory, is_out_of_memory
from endoseg_cli.training.engine.records import RunListener, StepRecord, ValidationRecord
from endoseg_cli.training.engine.schedule import Schedule, make_schedule
from endoseg_cli.training.engine.settling import TEACHER_FRAMES, hold_statistics, settle_teacher, settled
from endoseg_cli.training.engine.statistics import CollapseWatch, IdleWatch, RunningMeans
from endoseg_cli.training.engine.teacher_quality import teacher_quality
from endoseg_cli.training.engine.validation import validate
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.shared.distributed import ALONE, Ranks
from endoseg_cli.training.strategies.objective import ObjectiveWeights

PACE_STEPS = 4
"""Steps with pseudo-labels after which it is known how long one takes."""
LAST = "last.pt"
"""Name of the checkpoint that a run goes on from."""


@dataclass(frozen=True, kw_only=True)
class _BegunStep:
    """A step whose values were not looked at yet."""

    step: int
    """Its number, from 1."""
    learning_rate: float
    """Its learning rate."""
    values: Mapping[str, float]
    """Its terms and statistics."""


class Trainer:
    """A training run that can be stopped at any step and continued to the same result, to the bit on a CPU.

    Checkpoints go to `folder`: last.pt, and best1.pt and best2.pt with each network's best weights. Raises
    TrainingError when a loss is no longer finite and DeviceError when the memory does not suffice; the last good
    checkpoint stays.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: TrainingData,
        *,
        folder: Path,
        device: torch.device,
        ranks: Ranks = ALONE,
        start: Start | None = None,
        listener: RunListener | None = None,
    ) -> None:
        self.config, self.data, self.folder, self.ranks = config, data, folder, ranks
        self.listener = listener or RunListener()
        self.learner = Learner(config, device=device, ranks=ranks, start=start)
        self.schedule = make_schedule(config, labeled=len(data.labeled), unlabeled=data.unlabeled_count)
        self.feed = Feed(
            config,
            data,
            self.schedule,
            share=ranks.share,
            device=device,
            normalise=lambda images: self.learner.normalise(images),
        )
        self.scored: Sequence[UNet] = self.learner.judged
        """The networks as they were last validated: with settled statistics, if these are on."""
        self.step = 0
        self._begun: _BegunStep | None = None
        self.seconds = 0.0
        self.best = [-math.inf] * NETWORKS
        self.latest = [-math.inf] * NETWORKS
        self.validations_since_best = 0
        self._validation_seconds = 0.0
        self._warm_at: float | None = None
        self.means = RunningMeans()
        self.watch = CollapseWatch()
        self.idle = IdleWatch()
        cv2.setNumThreads(1)  # a frame is small: one thread is as fast, and leaves the cores to the networks

    def fit(self) -> None:
        """Train up to the end of the run, validating and writing checkpoints on the way."""
        began = time.monotonic() - self.seconds
        while not self.is_over():
            for batch in self.feed.since(self.step):
                self.seconds = time.monotonic() - began
                if self.is_over() or self._paces():
                    break
                self.begin_step(batch)
                self.seconds = time.monotonic() - began
                if self.step % self.schedule.validation_interval == 0:
                    self.validate()
                    self._validation_seconds = time.monotonic() - began - self.seconds
                elif self.step % self.config.checkpoint_every == 0:
                    self.save()
        self.finish_step()
        if self.means.counts:  # steps since the last validation
            self.validate()

    def train_step(self, batch: TrainingBatch) -> Mapping[str, float]:
        """Train both networks on one batch and return the value of every term and statistic."""
        self.begin_step(batch)
        begun = self._begun
        assert begun is not None
        self.finish_step()
        return begun.values

    def begin_step(self, batch: TrainingBatch) -> None:
        """Train both networks on one batch; its values are looked at when the next one has begun.

        So the device never waits for them. A step that was not finite is then found one step late, but before
        anything is written.
        """
        weights = self.schedule.weights(self.step)
        if weights.unsupervised:
            self._settle_teachers()
        values = self._gradients(batch, weights)
        rate = self.schedule.learning_rate(self.step, self._clock())
        self.learner.update(rate)
        self.learner.average(self.step)
        self.step += 1
        before, self._begun = self._begun, _BegunStep(step=self.step, learning_rate=rate, values=values)
        self._finish(before)

    def finish_step(self) -> None:
        """Look at the values of the step that was begun last."""
        begun, self._begun = self._begun, None
        self._finish(begun)

    def _finish(self, begun: _BegunStep | None) -> None:
        if begun is None:
            return
        self._check_finite(begun)
        self.means.add(begun.values)
        self._tell_step(begun)

    def validate(self) -> None:
        """Score both networks, keep the weights of those that are better than ever, and write a checkpoint."""
        self.finish_step()
        learner = self.learner
        self.scored = self._settle(learner.judged)
        scores = tuple(
            validate(network, self.data.validation, self.config.size, learner.normalise, self.ranks)
            for network in self.scored
        )
        self.latest = [score.dice for score in scores]
        improved = tuple(score.dice > best for score, best in zip(scores, self.best, strict=True))
        self.validations_since_best = 0 if any(improved) else self.validations_since_best + 1
        means = self.means.means()
        self.means.clear()
        for number, (network, score) in enumerate(zip(self.scored, scores, strict=True), start=1):
            if improved[number - 1]:
                self.best[number - 1] = score.dice
                self._write(self._best_path(number), {"network": network.state_dict(), "step": self.step})
        self.save()
        for warning in self.idle.warnings(means, is_ramping=self.schedule.is_ramping(self.step - 1)):
            self.listener.on_warning(f"step {self.step}: {warning}")
        if self.ranks.leads and self.schedule.weights(self.step - 1).unsupervised:
            means |= teacher_quality(learner, self.data.validation, self.step)
        self.listener.on_validation(
            ValidationRecord(
                step=self.step,
                epoch=self.step / self.schedule.steps_per_epoch,
                seconds=self.seconds,
                learning_rate=self.schedule.learning_rate(self.step - 1, self.seconds),
                unsupervised_weight=self.schedule.weights(self.step - 1).unsupervised,
                values=means,
                scores=scores,
                improved=improved,
            )
        )

    def save(self) -> None:
        """Write the checkpoint from which `resume` goes on."""
        self.finish_step()
        self._write(
            self.folder / LAST,
            {
                "step": self.step,
                "total_steps": self.schedule.total_steps,
                "warm_up_steps": self.schedule.warm_up_steps,
                "ramp_steps": self.schedule.ramp_steps,
                "seconds": self.seconds,
                "best": self.best,
                "latest": self.latest,
                "validations_since_best": self.validations_since_best,
                "sums": self.means.sums,
                "counts": self.means.counts,
                "networks": self.learner.state(),
                "scaler": self.learner.scaler.state_dict(),
            },
        )

    def resume(self, *, extended: bool = False) -> None:
        """Go on from the folder's last checkpoint; `extended` towards more steps or time than it was trained to.

        The checkpoint holds the step, the networks and the optimisers. Batches, dropout and the schedule follow from
        seed and step, so there are no random states to restore.
        """
        state = load_checkpoint(self.folder / LAST)
        if state["total_steps"] != self.schedule.total_steps and not extended:
            raise TrainingError(
                f"{self.folder} was trained towards {state['total_steps']} steps, with the data and settings found now"
                f" it would be {self.schedule.total_steps}",
                hint="resume with the data and settings that the run was started with",
            )
        self.learner.load_state(state["networks"])
        self.learner.scaler.load_state_dict(state["scaler"])
        self.step, self.seconds, self.best = state["step"], state["seconds"], list(state["best"])
        self.latest = list(state["latest"])
        self.validations_since_best = 0 if extended else state["validations_since_best"]
        warm_up = state.get("warm_up_steps", self.schedule.warm_up_steps)
        self._reschedule(
            replace(self.schedule, warm_up_steps=warm_up, ramp_steps=state.get("ramp_steps", self.schedule.ramp_steps))
        )
        self.means.sums, self.means.counts = dict(state["sums"]), dict(state["counts"])

    def selected_networks(self) -> tuple[list[UNet], list[float]]:
        """Return both networks as `select` says, in eval mode on the CPU, and the Dice that they validated with."""
        if self.config.select == "best":
            states = [load_checkpoint(self._best_path(number))["network"] for number in range(1, NETWORKS + 1)]
            return [self._network(state).eval() for state in states], self.best
        kept = "average" if self.config.ema else "network"
        states = [saved[kept] for saved in load_checkpoint(self.folder / LAST)["networks"]]
        networks = self._settle([self._network(state).to(self.learner.device) for state in states])
        return [network.cpu().eval() for network in networks], self.latest

    def _network(self, state: dict[str, Tensor]) -> UNet:
        network = UNet(self.config.network)
        network.load_state_dict(state)
        return network

    def _settle(self, networks: Sequence[UNet]) -> Sequence[UNet]:
        """Return the networks as they are scored and kept, with statistics over the frames that the run learns from."""
        count = self.config.settle_frames
        return [settled(network, self.feed.plain(count)) for network in networks] if count else networks

    def _settle_teachers(self) -> None:
        """Every so many steps, give the networks, which teach, statistics over plain frames, and hold them between."""
        count, every = min(self.config.settle_frames, TEACHER_FRAMES), self.config.settle_every
        if not (count and every):
            return
        is_first = not self.schedule.weights(self.step - 1).unsupervised
        for network in self.learner.teachers:
            hold_statistics(network)
            if is_first or self.step % every == 0:
                settle_teacher(network, self.feed.plain(count))

    def _gradients(self, batch: TrainingBatch, weights: ObjectiveWeights) -> Mapping[str, float]:
        try:
            is_last = (self.step + 1) % self.schedule.validation_interval == 0
            return self.learner.compute_gradients(batch, self.step, weights, measure=is_last)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler, whose traceback would keep the tensors of the failed step alive.
        raise explain_memory(
            batch, lambda part: self.learner.compute_gradients(part, self.step, weights), self.ranks.size
        )

    def _tell_step(self, begun: _BegunStep) -> None:
        for warning in self.watch.warnings(begun.values):
            self.listener.on_warning(f"step {begun.step}: {warning}")
        self.listener.on_step(
            StepRecord(
                step=begun.step,
                total_steps=self.schedule.expected_steps(begun.step, self.seconds),
                epoch=begun.step / self.schedule.steps_per_epoch,
                learning_rate=begun.learning_rate,
                values=begun.values,
                seconds_left=None if self.config.max_time is None else max(self.config.max_time - self.seconds, 0.0),
            )
        )

    def is_over(self) -> bool:
        """Return whether the run ends before the next step: by steps, time (less a last validation's) or patience."""
        patience = self.config.patience
        if patience is not None and self.validations_since_best >= patience:
            return True
        # a run of no step at all would have nothing to keep
        return self.schedule.is_over(self.step, self._clock(self._validation_seconds) if self.step else 0.0)

    def _paces(self) -> bool:
        """Fit warm-up and ramp-up into --max-time; return whether the batches to come are others now."""
        if self.schedule.is_time_for_pseudo_labels(self.step, self._clock()):
            self._reschedule(replace(self.schedule, warm_up_steps=self.step))
            return True
        done = self.step - self.schedule.warm_up_steps
        if done == 0:
            self._warm_at = self._clock()
        elif done == PACE_STEPS and self._warm_at is not None:
            self.schedule = self.schedule.with_ramp_in_time((self._clock() - self._warm_at) / PACE_STEPS)
        return False

    def _reschedule(self, schedule: Schedule) -> None:
        if schedule != self.schedule:
            self.schedule = schedule
            self.feed.follow(schedule)

    def _clock(self, more: float = 0.0) -> float:
        """Return the seconds trained so far and some more, where they matter by the clock of process 0."""
        return self.seconds if self.config.max_time is None else self.ranks.lead(self.seconds + more)

    def _write(self, path: Path, state: dict[str, Any]) -> None:
        if self.ranks.leads:
            save_checkpoint(path, state)

    def _best_path(self, number: int) -> Path:
        return self.folder / f"best{number}.pt"

    def _check_finite(self, begun: _BegunStep) -> None:
        values = begun.values.items()
        # a norm that is only measured may overflow: what it would break shows in the next step's terms
        broken = [name for name, value in values if not math.isfinite(value) and not name.startswith("gradient_")]
        if broken:
            raise TrainingError(
                f"step {begun.step}: the loss term {broken[0]} is not finite; the batch held"
                f" {self.feed.files(begun.step - 1)}",
                hint="lower --learning-rate; the last good checkpoint is kept",
            )
