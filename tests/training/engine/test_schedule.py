from __future__ import annotations

from dataclasses import replace

import pytest

from endoseg_cli.training.engine.schedule import make_schedule
from endoseg_cli.training.settings.config import TrainConfig, recipe_settings
from endoseg_cli.training.settings.config_file import build_config
from endoseg_cli.training.strategies.mutual_learning import MutualForm
from endoseg_cli.training.strategies.ramp import epoch_weight

CONFIG = TrainConfig(encoder_weights="none", batch_size=4)


def test_an_epoch_is_one_pass_over_the_unlabelled_frames() -> None:
    assert make_schedule(CONFIG, labeled=3, unlabeled=10).steps_per_epoch == 3
    assert make_schedule(replace(CONFIG, unlabeled_batch_size=2), labeled=3, unlabeled=10).steps_per_epoch == 5
    assert make_schedule(CONFIG, labeled=9, unlabeled=0).steps_per_epoch == 3


def test_the_papers_schedule_is_asked_for_by_its_settings() -> None:
    paper = build_config(
        TrainConfig, {**recipe_settings("endo-semis-paper"), "encoder_weights": "none", "batch_size": 4}, ""
    )
    schedule = make_schedule(paper, labeled=4, unlabeled=40)
    assert schedule.ramp_steps == 50 and schedule.total_steps == 1000
    weights = [schedule.weights(epoch * 10).unsupervised for epoch in range(8)]
    assert weights == pytest.approx([epoch_weight(epoch) for epoch in range(8)])
    found = schedule.weights(0)
    assert found.mutual == 0.5 and found.logit == 1.0 and found.dice == 0 and found.reduction == "all"
    assert found.mutual_form == MutualForm(on="logits", low_level=0.5, bottleneck="paper")
    assert paper.threshold_scope == "image" and paper.certainty == "own" and paper.min_confidence == 0.5
    assert paper.labeled_cross and not paper.settle_frames and not paper.augment.strong.at_least


def test_a_short_run_warms_up_and_ramps_in_quarters() -> None:
    schedule = make_schedule(replace(CONFIG, max_steps=100), labeled=4, unlabeled=400)
    assert (schedule.warm_up_steps, schedule.ramp_steps) == (25, 25)
    assert schedule.weights(24).unsupervised == schedule.weights(24).mutual == 0
    assert schedule.weights(25).unsupervised > 0 and schedule.weights(50).unsupervised == 1.2


def test_without_unlabelled_frames_everything_but_the_supervised_term_is_off() -> None:
    schedule = make_schedule(CONFIG, labeled=4, unlabeled=0)
    assert schedule.weights(schedule.total_steps - 1).unsupervised == 0
    assert schedule.weights(0).mutual == 0
    asked = make_schedule(replace(CONFIG, mutual_learning=True), labeled=4, unlabeled=0)
    assert asked.weights(0).mutual == 0.5


def test_the_supervised_recipe_keeps_the_length_of_the_epochs() -> None:
    supervised = replace(CONFIG, **recipe_settings("supervised"))
    schedule = make_schedule(supervised, labeled=4, unlabeled=40)
    assert schedule.steps_per_epoch == 10 and not schedule.unlabeled and not schedule.mutual


def test_the_learning_rate_is_a_cosine_over_the_steps_or_the_time() -> None:
    schedule = make_schedule(replace(CONFIG, max_steps=101), labeled=4, unlabeled=0)
    rates = [schedule.learning_rate(step) for step in (0, 50, 100)]
    assert rates == pytest.approx([1e-4, 5.5e-5, 1e-5])
    alone = replace(CONFIG, max_steps=101, max_time=60.0, corrective=False)
    timed = make_schedule(alone, labeled=4, unlabeled=0)
    assert timed.learning_rate(0, 30.0) == pytest.approx(5.5e-5)
    assert timed.is_over(5, 60.0) and not timed.is_over(5, 59.0) and timed.is_over(101, 0.0)


def test_max_time_is_shared_with_the_corrective_network_and_tells_the_steps_to_come() -> None:
    timed = make_schedule(replace(CONFIG, max_steps=1000, max_time=100.0, corrective=True), labeled=4, unlabeled=40)
    assert timed.max_time == pytest.approx(85.0) and timed.is_over(5, 85.0) and not timed.is_over(5, 84.0)
    assert timed.expected_steps(10, 8.5) == 100 and timed.expected_steps(999, 8.5) == 1000
    assert timed.expected_steps(0, 0.0) == 1000 and timed.expected_steps(10, 1e6) == 10


def test_warm_up_and_ramp_fit_into_the_time() -> None:
    config = replace(CONFIG, max_steps=4000, max_time=100.0, corrective=False, warm_up_steps=None, ramp_steps=None)
    timed = make_schedule(config, labeled=4, unlabeled=400)
    assert timed.warm_up_steps == 500 and timed.ramp_steps == 500
    assert timed.is_time_for_pseudo_labels(30, 25.0) and not timed.is_time_for_pseudo_labels(30, 24.0)
    assert not timed.is_time_for_pseudo_labels(500, 99.0)
    assert timed.with_ramp_in_time(0.5).ramp_steps == 50 and timed.with_ramp_in_time(1e-4).ramp_steps == 500
    asked = make_schedule(replace(config, warm_up_steps=500, ramp_steps=500), labeled=4, unlabeled=400)
    assert not asked.is_time_for_pseudo_labels(30, 99.0) and asked.with_ramp_in_time(0.5) is asked
    endless = make_schedule(replace(config, max_time=None), labeled=4, unlabeled=400)
    assert not endless.is_time_for_pseudo_labels(30, 99.0) and endless.with_ramp_in_time(0.5) is endless
