"""What changes over a run: the learning rate, the weight of the unsupervised terms, and when the run ends."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.strategies.objective import ObjectiveWeights
from endoseg_cli.training.strategies.ramp import unsupervised_weight

RAMP_EPOCHS = 5
"""Epochs of the ramp-up in the paper."""
STAGE_TWO_SHARE = 0.15
"""Share of --max-time that is kept for the corrective network."""
WARM_UP_SHARE = 0.25
"""Share of stage one's time after which the warm-up ends, if --max-time ends the run first."""
RAMP_SHARE = 0.25
"""Most of stage one's time that the ramp-up takes then."""
LONGEST_WARM_UP = 500
"""Supervised steps before the unsupervised terms begin, unless asked otherwise or a quarter of the run is less."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The resolved schedule of a run; steps are counted from 0."""

    config: TrainConfig
    """The settings."""
    steps_per_epoch: int
    """Steps of one pass over the unlabelled frames, or over the labelled ones where there are no others."""
    total_steps: int
    """Steps of the whole run."""
    warm_up_steps: int
    """Supervised steps at its start."""
    ramp_steps: int
    """Steps of the ramp-up after them."""
    unlabeled: bool
    """Whether unlabelled frames are trained on."""
    mutual: bool
    """Whether mutual learning is on."""
    max_time: float | None = None
    """Seconds that stage one may take; the rest of --max-time is for the corrective network."""

    @property
    def validation_interval(self) -> int:
        """Steps between validations."""
        return self.config.validate_every or self.steps_per_epoch

    def learning_rate(self, step: int, seconds: float = 0.0) -> float:
        """Return the learning rate: a cosine over the steps, or over the time where that ends the run first."""
        first, final = self.config.learning_rate, self.config.final_learning_rate
        progress = step / max(self.total_steps - 1, 1)
        if self.max_time is not None:
            progress = min(max(progress, seconds / self.max_time), 1.0)
        return final + (first - final) * (1 + math.cos(math.pi * progress)) / 2

    def weights(self, step: int) -> ObjectiveWeights:
        """Return what each term of the objective counts at a step; in the warm-up only the supervised one does."""
        config, warm = self.config, step >= self.warm_up_steps
        maximum = config.unsupervised_weight if self.unlabeled else 0.0
        return ObjectiveWeights(
            unsupervised=unsupervised_weight(
                step, warm_up_steps=self.warm_up_steps, ramp_steps=self.ramp_steps, maximum=maximum
            ),
            mutual=config.mutual_weight if self.mutual and warm else 0.0,
            logit=config.logit_weight,
            mutual_form=config.mutual_form,
            dice=config.dice_weight,
            dice_over=config.dice_over,
            presence=config.presence_weight,
            reduction=config.reduction,
        )

    def is_ramping(self, step: int) -> bool:
        """Return whether the unsupervised terms are on at a step, but do not count in full yet."""
        return self.unlabeled and 0 < self.weights(step).unsupervised < self.config.unsupervised_weight

    def is_over(self, step: int, seconds: float) -> bool:
        """Return whether the run ends before this step."""
        return step >= self.total_steps or (self.max_time is not None and seconds >= self.max_time)

    def expected_steps(self, step: int, seconds: float) -> int:
        """Return about how many steps the run will have, from how long those so far took."""
        return fitting_steps(step, seconds, self.max_time, self.total_steps)

    def is_time_for_pseudo_labels(self, step: int, seconds: float) -> bool:
        """Return whether the warm-up has lasted its share of the time, though not its steps."""
        if self.max_time is None or not self.unlabeled or self.config.warm_up_steps is not None:
            return False
        return 0 < step < self.warm_up_steps and seconds >= WARM_UP_SHARE * self.max_time

    def with_ramp_in_time(self, seconds_per_step: float) -> Schedule:
        """Return the schedule with a ramp-up that takes no more than its share of the time."""
        if self.max_time is None or self.config.ramp_steps is not None:
            return self
        fitting = max(round(RAMP_SHARE * self.max_time / max(seconds_per_step, 1e-9)), 1)
        return replace(self, ramp_steps=min(self.ramp_steps, fitting))


def fitting_steps(step: int, seconds: float, limit: float | None, most: int) -> int:
    """Return about how many steps fit into `limit` seconds, at most `most`, if `step` of them took `seconds`."""
    if limit is None or not step or not seconds:
        return most
    return max(min(most, math.ceil(step * limit / seconds)), step)


def make_schedule(config: TrainConfig, *, labeled: int, unlabeled: int) -> Schedule:
    """Return the schedule of a run on so many frames.

    Without unlabelled frames the run is supervised: the strategies that need them are off, and so is mutual learning
    unless it is asked for by name.
    """
    walked = unlabeled or labeled
    batch = config.frames_unlabeled if unlabeled else config.batch_size
    steps_per_epoch = math.ceil(walked / batch)
    total = config.max_steps or config.epochs * steps_per_epoch
    quarter = total // 4
    learns = unlabeled > 0 and config.uses_unlabeled
    mutual = config.uses_mutual if config.uses_mutual is not None else unlabeled > 0
    default_warm_up = min(quarter, LONGEST_WARM_UP) if learns else 0
    default_ramp = min(quarter, RAMP_EPOCHS * steps_per_epoch)
    return Schedule(
        config=config,
        steps_per_epoch=steps_per_epoch,
        total_steps=total,
        warm_up_steps=default_warm_up if config.warm_up_steps is None else config.warm_up_steps,
        ramp_steps=default_ramp if config.ramp_steps is None else config.ramp_steps,
        unlabeled=learns,
        mutual=mutual and config.mutual_weight > 0,
        max_time=_stage_one_seconds(config),
    )


def _stage_one_seconds(config: TrainConfig) -> float | None:
    if config.max_time is None:
        return None
    return config.max_time * (1 - STAGE_TWO_SHARE) if config.corrective else config.max_time
