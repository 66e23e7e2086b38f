"""`endoseg benchmark train`: a training step, plain and as endoseg does it, in every precision, and a run's length."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from endoseg_cli.benchmark.machine import describe_machine, report
from endoseg_cli.benchmark.measure import MeasureConfig, Tell, timed
from endoseg_cli.benchmark.memory import MemoryWatch, Peak
from endoseg_cli.benchmark.plain_step import PlainLearner
from endoseg_cli.data.views.datasets import LabeledBatches, TrainingBatch, TrainingBatches, UnlabeledBatches
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.errors import UsageError
from endoseg_cli.phantom.dataset import render_stills
from endoseg_cli.phantom.world.config import PhantomConfig
from endoseg_cli.training.engine.learner import Learner
from endoseg_cli.training.engine.memory import explain_memory, is_out_of_memory
from endoseg_cli.training.engine.schedule import Schedule, make_schedule
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.shared.precision import resolve_precision
from endoseg_cli.training.strategies.objective import ObjectiveWeights

STILLS = 4
"""Rendered frames with masks, and as many without, which all batches are drawn from."""
PLAIN, FAST = "plain", "fast"
SUPERVISED, WHOLE = "supervised", "whole"


@dataclass(frozen=True, kw_only=True)
class TrainBenchmark:
    """What is measured."""

    config: TrainConfig
    """The settings of the run; its precision is that of every row in turn."""
    device: torch.device
    """Where it trains."""
    repeats: int = 3
    """Batches that are timed, after one that is not."""
    frames: int = 1000
    """Frames without masks of the run, which an epoch passes over."""

    def __post_init__(self) -> None:
        MeasureConfig(repeats=self.repeats)
        if not 1 <= self.frames <= 100_000_000:
            raise UsageError(f"--frames must be 1 or more, found {self.frames}")

    def run(self, folder: Path, tell: Tell) -> dict[str, Any]:
        """Measure; rendered frames go to `folder`. Return what --json prints."""
        machine = describe_machine(self.device)
        tell("rendering frames")
        batches = make_batches(self.config, folder)
        schedule = make_schedule(self.config, labeled=STILLS, unlabeled=self.frames)
        ways = [_Way(name, self._learner(name, precision), precision) for name, precision in self._ways()]
        preparing: list[float] = []
        boxed: list[float] = []
        for repeat in range(-1, self.repeats):
            tell("warm-up" if repeat < 0 else f"batch {repeat + 1} of {self.repeats}")
            batch, seconds = timed(partial(batches.__getitem__, repeat + 1))
            batch = batch.pin_memory() if self.device.type == "cuda" else batch
            preparing.append(seconds)
            boxed.append(_boxed(batch))
            place = max(repeat, 0) % len(ways)
            for way in (*ways[place:], *ways[:place]):
                others = sum(other.held_bytes() for other in ways if other is not way)
                _step(way, batch, repeat + 1, schedule, others)
        return report(
            "train",
            machine,
            self._settings(schedule),
            steps=[way.describe(statistics.median(preparing[1:]), schedule) for way in ways],
            preparing_seconds={"seconds": preparing[1:], "median": statistics.median(preparing[1:])},
            ratios=_ratios(ways),
            boxed_share=statistics.fmean(boxed[1:]),
            largest_difference=_largest_difference(ways),
        )

    def _ways(self) -> list[tuple[str, str]]:
        ways = [(PLAIN, "fp32"), (FAST, "fp32")]
        if resolve_precision("auto", self.device) == "bf16":
            ways.append((FAST, "bf16"))
        return ways

    def _learner(self, name: str, precision: str) -> Learner:
        config = replace(self.config, precision=precision)  # type: ignore[arg-type]
        return (PlainLearner if name == PLAIN else Learner)(config, device=self.device)

    def _settings(self, schedule: Schedule) -> dict[str, Any]:
        config = self.config
        return {
            "method": config.method,
            "encoder": config.encoder,
            "input_size": list(config.size),
            "batch_size": config.batch_size,
            "unlabeled_batch_size": config.frames_unlabeled if schedule.unlabeled else 0,
            "repeats": self.repeats,
            "frames": self.frames,
            "steps": schedule.total_steps,
            "supervised_steps": supervised_steps(schedule),
            "steps_per_epoch": schedule.steps_per_epoch,
        }


@dataclass(eq=False)
class _Way:
    """One way of computing a step, and what it took."""

    name: str
    learner: Learner
    precision: str
    seconds: dict[str, list[float]] = field(default_factory=lambda: {SUPERVISED: [], WHOLE: []})
    peaks: list[Peak] = field(default_factory=list)
    first: dict[str, float] = field(default_factory=dict)
    """Terms of the first step, where all ways have the same weights."""

    def step(self, batch: TrainingBatch, number: int, schedule: Schedule, others: int) -> None:
        """Train on a batch with and without the terms that need no masks; `number` 0 is the warm-up."""
        watch = MemoryWatch(self.learner.device)
        kinds = {WHOLE: schedule.weights(schedule.total_steps)}
        if schedule.unlabeled:
            kinds[SUPERVISED] = replace(kinds[WHOLE], unsupervised=0.0, mutual=0.0)
        for kind, weights in kinds.items():
            shown = batch if weights.unsupervised else TrainingBatch(labeled=batch.labeled)
            values, seconds = timed(partial(self._step, shown, number, weights, schedule.learning_rate(0)))
            if number == 0 and kind == WHOLE:
                self.first = values
            elif number:
                self.seconds[kind].append(seconds)
        for optimiser in self.learner.optimisers:
            optimiser.zero_grad(set_to_none=True)  # the other ways need the memory
        self.peaks.append(_without(watch.peak(), others))

    @property
    def title(self) -> str:
        """What tables call it."""
        return f"{self.name} {self.precision}"

    def held_bytes(self) -> int:
        """Return the bytes of networks and optimisers between steps."""
        networks = (*self.learner.networks, *self.learner.averages)
        held: list[Tensor] = [each for network in networks for each in (*network.parameters(), *network.buffers())]
        for optimiser in self.learner.optimisers:
            held += [each for state in optimiser.state.values() for each in state.values() if isinstance(each, Tensor)]
        return sum(each.numel() * each.element_size() for each in held)

    def describe(self, preparing: float, schedule: Schedule) -> dict[str, Any]:
        """Return plain values for --json; `preparing` are the seconds that a batch takes to be made."""
        steps = {kind: _described(seconds) for kind, seconds in self.seconds.items() if seconds}
        # a GPU trains while the next batch is made, a CPU does one after the other
        join: Callable[[float, float], float] = max if self.learner.device.type == "cuda" else _sum
        warm = supervised_steps(schedule)
        run = (schedule.total_steps - warm) * join(steps[WHOLE]["median"], preparing)
        if warm:
            run += warm * join(steps.get(SUPERVISED, steps[WHOLE])["median"], preparing)
        peak = max(self.peaks, key=lambda each: (each.device or 0, each.resident or 0))
        return {
            "schedule": self.name,
            "precision": self.precision,
            "step": steps[WHOLE],
            "supervised_step": steps.get(SUPERVISED),
            "run_seconds": run,
            "peak_memory": peak.to_dict(),
        }

    def _step(self, batch: TrainingBatch, number: int, weights: ObjectiveWeights, rate: float) -> dict[str, float]:
        values = self.learner.compute_gradients(batch, number, weights)
        self.learner.update(rate)
        self.learner.average(number)
        if self.learner.device.type == "cuda":
            torch.cuda.synchronize(self.learner.device)
        return dict(values)


def make_batches(config: TrainConfig, folder: Path) -> TrainingBatches:
    """Render frames and return the batches of a run on them, augmented as in training."""
    phantom = PhantomConfig(size=config.size)
    render_stills(folder, STILLS, phantom)
    images = sorted((folder / "images").iterdir())
    crop = config.field_of_view == "auto"
    labeled = FrameStore(images, sorted((folder / "masks").iterdir()), size=config.size, crop=crop)
    drawn = {"size": config.size, "seed": config.seed, "augment": config.augment}
    batches = LabeledBatches(labeled, batch_size=config.batch_size, **drawn)  # type: ignore[arg-type]
    if not config.uses_unlabeled:
        return TrainingBatches(batches, None)
    unlabeled = FrameStore(images, None, size=config.size, crop=crop)
    others = UnlabeledBatches(unlabeled, batch_size=config.frames_unlabeled, **drawn)  # type: ignore[arg-type]
    return TrainingBatches(batches, others)


def supervised_steps(schedule: Schedule) -> int:
    """Return the steps of a run before the terms without masks begin: none where there are no such terms."""
    return min(schedule.warm_up_steps, schedule.total_steps) if schedule.unlabeled else 0


def _step(way: _Way, batch: TrainingBatch, number: int, schedule: Schedule, others: int) -> None:
    """Take a step; raises DeviceError where the memory does not suffice."""
    try:
        return way.step(batch, number, schedule, others)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # outside the handler, whose traceback would keep the tensors of the failed step alive
    weights = schedule.weights(schedule.total_steps)
    raise explain_memory(batch, lambda part: way.learner.compute_gradients(part, number, weights))


def _ratios(ways: list[_Way]) -> list[dict[str, Any]]:
    """Return how many times as fast the whole step of each later way is as that of each earlier one."""
    found = []
    for index, way in enumerate(ways):
        for other in ways[:index]:
            rounds = [theirs / own for own, theirs in zip(way.seconds[WHOLE], other.seconds[WHOLE], strict=True)]
            times = {"median": statistics.median(rounds), "rounds": rounds}
            found.append({"of": way.title, "to": other.title, "times_as_fast": times})
    return found


def _largest_difference(ways: list[_Way]) -> float:
    """Return the largest difference between the first step's numbers of the plain way and of the fast one."""
    plain, fast = ways[0].first, ways[1].first
    return max(abs(plain[name] - fast[name]) for name in plain)


def _boxed(batch: TrainingBatch) -> float:
    """Return the share of the frames without masks that have a CutMix box."""
    return 0.0 if batch.unlabeled is None else float(batch.unlabeled.boxes.flatten(1).any(1).float().mean())


def _described(seconds: list[float]) -> dict[str, Any]:
    median = statistics.median(seconds)
    return {"seconds": seconds, "median": median, "spread": (max(seconds) - min(seconds)) / median}


def _sum(first: float, second: float) -> float:
    return first + second


def _without(peak: Peak, others: int) -> Peak:
    """Return a peak less the bytes that the other ways hold."""
    return replace(
        peak,
        resident=None if peak.resident is None else max(peak.resident - others, 0),
        device=None if peak.device is None else max(peak.device - others, 0),
    )
