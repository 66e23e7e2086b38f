"""What a run tells while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from endoseg_cli.training.engine.validation import ValidationScores


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """What one training step did."""

    step: int
    """Number of the step, from 1."""
    total_steps: int
    """Steps of the whole run; under --max-time about as many as will fit."""
    epoch: float
    """Passes over the training frames so far."""
    learning_rate: float
    """Learning rate of the step."""
    values: Mapping[str, float]
    """Every term of the loss, named `<term>_<network>`, and every statistic."""
    seconds_left: float | None = None
    """What is left of --max-time, if there is one."""


@dataclass(frozen=True, kw_only=True)
class ValidationRecord:
    """What one validation found."""

    step: int
    """Steps trained so far."""
    epoch: float
    """Passes over the training frames so far."""
    seconds: float
    """Seconds trained so far, over all sittings."""
    learning_rate: float
    """Learning rate of the last step."""
    unsupervised_weight: float
    """lambda of the last step."""
    values: Mapping[str, float]
    """Mean of every term and statistic since the last validation."""
    scores: tuple[ValidationScores, ...]
    """Scores of each network."""
    improved: tuple[bool, ...]
    """Which networks reached their best Dice."""


@dataclass(frozen=True, kw_only=True)
class CorrectiveRecord:
    """What one validation of the corrective network found."""

    step: int
    """Steps trained so far."""
    seconds: float
    """Seconds trained so far, over all sittings."""
    learning_rate: float
    """Learning rate of the last step."""
    values: Mapping[str, float]
    """Mean of every term since the last validation."""
    scores: Mapping[str, float]
    """Dice on held-out windows: spoiled_before, spoiled_after, untouched_before, untouched_after."""
    improved: bool
    """Whether the network is the best so far."""


def _nothing(_: object) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class RunListener:
    """What a caller wants to hear of a run; anything may be left out."""

    on_warning: Callable[[str], None] = _nothing
    """Something about the data or the training that the user should know."""
    on_note: Callable[[str], None] = _nothing
    """Something that is well, but takes its time."""
    on_step: Callable[[StepRecord], None] = _nothing
    """A step was trained."""
    on_validation: Callable[[ValidationRecord], None] = _nothing
    """The networks were validated; the checkpoint is written."""
    on_corrective: Callable[[CorrectiveRecord], None] = _nothing
    """The corrective network was validated; the checkpoint is written."""
