"""What changes over a run: the learning rate, the weight of the unsupervised terms, and when the run ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

from endoseg_cli.training.config import TrainConfig
from endoseg_cli.training.objective import ObjectiveWeights
from endoseg_cli.training.ramp import unsupervised_weight

RAMP_EPOCHS = 5
"""Epochs of the ramp-up in the paper."""
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

    @property
    def validation_interval(self) -> int:
        """Steps between validations."""
        return self.config.validate_every or self.steps_per_epoch

    def learning_rate(self, step: int, seconds: float = 0.0) -> float:
        """Return the learning rate: a cosine over the steps, or over --max-time where that ends the run first."""
        first, final = self.config.learning_rate, self.config.final_learning_rate
        progress = step / max(self.total_steps - 1, 1)
        if self.config.max_time is not None:
            progress = min(max(progress, seconds / self.config.max_time), 1.0)
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
            dice=config.dice_weight,
            dice_over=config.dice_over,
            reduction=config.reduction,
        )

    def is_over(self, step: int, seconds: float) -> bool:
        """Return whether the run ends before this step."""
        return step >= self.total_steps or (self.config.max_time is not None and seconds >= self.config.max_time)


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
    mutual = config.mutual_learning if config.mutual_learning is not None else unlabeled > 0
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
    )
