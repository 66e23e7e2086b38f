from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from endoseg_cli.data.views.datasets import TrainingBatch
from endoseg_cli.errors import DeviceError, TrainingError
from endoseg_cli.training.engine import trainer as trainer_module
from endoseg_cli.training.engine.checkpoint import load_checkpoint
from endoseg_cli.training.engine.feed import TrainingData
from endoseg_cli.training.engine.learner import Learner
from endoseg_cli.training.engine.records import RunListener, StepRecord, ValidationRecord
from endoseg_cli.training.strategies.objective import ObjectiveWeights
from tests.training.small import CONFIG, make_data, make_trainer


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return make_data(tmp_path_factory.mktemp("frames"))


def weights_of(folder: Path) -> list[Tensor]:
    state = load_checkpoint(folder / "last.pt")
    tensors = [tensor for saved in state["networks"] for tensor in saved["network"].values()]
    moments = [
        value
        for saved in state["networks"]
        for slots in saved["optimiser"]["state"].values()
        for value in slots.values()
    ]
    return [*tensors, *moments]


def test_three_steps_and_three_resumed_are_six_to_the_bit(data: TrainingData, tmp_path: Path) -> None:
    config = replace(CONFIG, validate_every=4, checkpoint_every=3)
    records: dict[str, list[ValidationRecord]] = {"whole": [], "rest": []}
    listeners = {name: RunListener(on_validation=found.append) for name, found in records.items()}
    make_trainer(data, tmp_path / "whole", config, listeners["whole"]).fit()

    first = make_trainer(data, tmp_path / "parts", config)
    for step in range(3):
        first.train_step(first.feed.batches[step])
    first.save()
    second = make_trainer(data, tmp_path / "parts", config, listeners["rest"])
    second.resume()
    second.fit()

    assert second.step == 6
    pairs = zip(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"), strict=True)
    assert all(torch.equal(whole, parts) for whole, parts in pairs)
    assert [record.values for record in records["whole"]] == [record.values for record in records["rest"]]
    dice = {name: [score.dice for record in found for score in record.scores] for name, found in records.items()}
    assert dice["whole"] == dice["rest"]


class BrokenLearner(Learner):
    """Two networks whose second term breaks at step 2, or whose memory holds `room` labelled frames."""

    room = 100

    def compute_gradients(
        self, batch: TrainingBatch, step: int, weights: ObjectiveWeights, *, measure: bool = False
    ) -> Mapping[str, float]:
        if len(batch.labeled.images) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        values = super().compute_gradients(batch, step, weights, measure=measure)
        return {**values, "cross_2": math.nan} if step == 2 else values


def test_a_loss_that_is_not_finite_names_the_term_and_the_files(data: TrainingData, tmp_path: Path) -> None:
    trainer = make_trainer(data, tmp_path, replace(CONFIG, checkpoint_every=1))
    trainer.learner = BrokenLearner(CONFIG, device=torch.device("cpu"))
    with pytest.raises(TrainingError, match=r"step 3: the loss term cross_2 is not finite") as error:
        trainer.fit()
    labeled, unlabeled = str(data.labeled.path(0).parent), "u/images"
    assert labeled in error.value.message and unlabeled in error.value.message
    kept = load_checkpoint(tmp_path / "last.pt")
    assert kept["step"] == 2
    assert all(tensor.isfinite().all() for saved in kept["networks"] for tensor in saved["network"].values())


def test_too_little_memory_says_what_would_fit(data: TrainingData, tmp_path: Path) -> None:
    config = replace(CONFIG, batch_size=8)
    trainer = make_trainer(data, tmp_path, config)
    broken = BrokenLearner(config, device=torch.device("cpu"))
    broken.room = 3
    trainer.learner = broken
    with pytest.raises(DeviceError, match="8 labelled frames; 2 would fit") as error:
        trainer.fit()
    assert error.value.hint is not None and "--batch-size 2" in error.value.hint


def test_patience_ends_a_run_that_gets_no_better(data: TrainingData, tmp_path: Path) -> None:
    config = replace(CONFIG, max_steps=50, validate_every=1, patience=2, learning_rate=1e-12, final_learning_rate=1e-12)
    trainer = make_trainer(data, tmp_path, config)
    trainer.best = [2.0, 2.0]
    trainer.fit()
    assert trainer.step == 2


def test_max_time_ends_a_run_with_a_validation(data: TrainingData, tmp_path: Path) -> None:
    found: list[ValidationRecord] = []
    config = replace(CONFIG, max_steps=1000, validate_every=1000, max_time=1e-3)
    trainer = make_trainer(data, tmp_path, config, RunListener(on_validation=found.append))
    trainer.fit()
    assert trainer.step == 1 and [record.step for record in found] == [1]
    assert found[0].learning_rate == pytest.approx(config.final_learning_rate)


def test_a_short_time_still_comes_to_the_unlabelled_frames(data: TrainingData, tmp_path: Path) -> None:
    """Each step takes a second by the test's clock; the warm-up ends after a quarter of the time, not 500 steps."""
    steps: list[StepRecord] = []
    config = replace(
        CONFIG,
        max_steps=4000,
        max_time=20.0,
        warm_up_steps=None,
        ramp_steps=None,
        validate_every=4000,
        corrective=False,
    )
    trainer = make_trainer(data, tmp_path, config, RunListener(on_step=steps.append))
    now = [0.0]

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now[0]

    class Ticking(Learner):
        def update(self, learning_rate: float) -> None:
            super().update(learning_rate)
            now[0] += 1.0

    trainer.learner.__class__ = Ticking
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer_module, "time", Clock)
        trainer.fit()
    assert len(steps) == 20 and trainer.schedule.warm_up_steps == 5 and trainer.schedule.ramp_steps == 5
    assert [step.step for step in steps if "cross_1" in step.values] == list(range(6, 21))
    assert steps[9].total_steps == 20 and steps[9].seconds_left == pytest.approx(10.0)
    again = make_trainer(data, tmp_path, config)
    again.resume()
    assert again.schedule == trainer.schedule and again.is_over()


def test_tiny_sets_fill_their_batches_and_without_unlabelled_frames_training_is_supervised(tmp_path: Path) -> None:
    steps: list[StepRecord] = []
    data = make_data(tmp_path, labeled=1, unlabeled=0, val=1)
    config = replace(CONFIG, max_steps=2, warm_up_steps=None)
    make_trainer(data, tmp_path / "run", config, RunListener(on_step=steps.append)).fit()
    assert [set(step.values) for step in steps] == [{"supervised_1", "supervised_2", "foreground_labels"}] * 2


def test_an_idle_term_is_reported(data: TrainingData, tmp_path: Path) -> None:
    class IdleLearner(Learner):
        def compute_gradients(
            self, batch: TrainingBatch, step: int, weights: ObjectiveWeights, *, measure: bool = False
        ) -> Mapping[str, float]:
            found = super().compute_gradients(batch, step, weights, measure=measure)
            return {**found, "low_level_dissimilarity": 0.0, "gradient_low_level_dissimilarity": 1.0}

    warnings: list[str] = []
    trainer = make_trainer(data, tmp_path, replace(CONFIG, max_steps=3), RunListener(on_warning=warnings.append))
    trainer.learner = IdleLearner(CONFIG, device=torch.device("cpu"))
    trainer.fit()
    assert len(warnings) == 1 and "low_level_dissimilarity is on, but was exactly zero" in warnings[0]


def test_pseudo_labels_are_judged_by_the_validation_frames_once_they_teach(data: TrainingData, tmp_path: Path) -> None:
    found: list[ValidationRecord] = []
    config = replace(CONFIG, validate_every=1, max_steps=2)
    make_trainer(data, tmp_path, config, RunListener(on_validation=found.append)).fit()
    assert not any(name.startswith("pseudo_") for name in found[0].values), "the first step is supervised"
    judged = {f"pseudo_{what}_{teacher}" for what in ("dice", "wrong", "found") for teacher in ("1", "2", "joint")}
    assert judged <= set(found[1].values)
    assert all(0 <= found[1].values[name] <= 1 for name in judged)


def test_the_model_gets_the_best_weights_or_the_last_ones(data: TrainingData, tmp_path: Path) -> None:
    config = replace(CONFIG, max_steps=2, validate_every=1)
    trainer = make_trainer(data, tmp_path, config)
    trainer.train_step(trainer.feed.batches[0])
    trainer.best = [-1.0, 2.0]  # network 2 can only get worse
    trainer._write(tmp_path / "best2.pt", {"network": trainer.learner.networks[1].state_dict(), "step": 1})
    early = {name: tensor.clone() for name, tensor in trainer.learner.networks[1].state_dict().items()}
    trainer.train_step(trainer.feed.batches[1])
    trainer.validate()
    late = trainer.scored[1].state_dict()

    networks, dice = trainer.selected_networks()
    assert all(torch.equal(tensor, early[name]) for name, tensor in networks[1].state_dict().items())
    assert dice[1] == 2.0
    trainer.config = replace(config, select="last")
    networks, dice = trainer.selected_networks()
    assert all(torch.equal(tensor, late[name]) for name, tensor in networks[1].state_dict().items())
    assert dice == trainer.latest and 0 <= dice[1] <= 1
