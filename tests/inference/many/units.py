"""Inputs of which nothing exists, for what only counts and orders them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from endoseg_cli.inference.flow.stages import StageSeconds
from endoseg_cli.inference.many.messages import Ended
from endoseg_cli.inference.many.units import Unit
from endoseg_cli.inference.pipeline import Outcome
from endoseg_cli.inference.write.output_paths import Targets
from tests.inference.brightness import targets_for


def inputs(*names: str) -> list[Targets]:
    return [targets_for(Path(name)) for name in names]


def unit(first: int, *names: str, frames: int = 1) -> Unit:
    return Unit(first=first, targets=tuple(inputs(*names)), frames=frames)


def ended(unit: Unit, *, frames: int = 1) -> Ended:
    outcomes = tuple((unit.first + place, outcome(one, frames)) for place, one in enumerate(unit.targets))
    return Ended(unit=unit, outcomes=outcomes, stages=StageSeconds(read=0.5))


def outcome(targets: Targets, frames: int = 1) -> Outcome:
    return Outcome(
        targets=targets,
        frames=frames,
        predicted_frames=frames,
        lesion_frames=0,
        seconds=2.0,
        stages=StageSeconds(),
        damage=(),
        warnings=(),
    )


def names_of(units: Sequence[Unit]) -> list[list[str]]:
    return [[one.source.path.name for one in unit.targets] for unit in units]
