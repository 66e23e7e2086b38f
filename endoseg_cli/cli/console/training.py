"""What people see of a training run: a bar and a table on a terminal, plain lines elsewhere; all of it on stderr."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from endoseg_cli.cli.console.lines import print_warning
from endoseg_cli.cli.console.say import one_line, say

if TYPE_CHECKING:
    from endoseg_cli.training.engine.records import CorrectiveRecord, RunListener, StepRecord, ValidationRecord

PLAIN_LINE_SECONDS = 10.0
"""How often a step is told where stderr is no terminal."""


class TrainConsole:
    """Tells a training run; `quiet` tells nothing, as in all processes but one."""

    def __init__(self, folder: Path, *, quiet: bool, command: str = "train") -> None:
        from endoseg_cli.training.engine.records import RunListener

        self._folder, self._command = folder, command
        self._told = self._began = time.monotonic()
        self._first_step: int | None = None
        self._console = Console(stderr=True)
        self._bar = None if quiet or not sys.stderr.isatty() else _make_bar(self._console)
        self._task: TaskID | None = None
        self.listener: RunListener = (
            RunListener()
            if quiet
            else RunListener(
                on_warning=print_warning,
                on_note=self._note,
                on_step=self._step,
                on_validation=self._validation,
                on_corrective=self._corrective,
            )
        )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if isinstance(error, KeyboardInterrupt | SystemExit) and (self._folder / "last.pt").is_file():
            print_warning(f"stopped; endoseg {self._command} --resume {self._folder} goes on from the last checkpoint")

    def _step(self, record: StepRecord) -> None:
        if self._first_step is None:
            self._first_step, self._began = record.step, time.monotonic()
        if self._bar is not None:
            self._show(self._bar, record)
        elif time.monotonic() - self._told >= PLAIN_LINE_SECONDS:
            self._told = time.monotonic()
            say(_step_line(record, self._time_left(record)))

    def _validation(self, record: ValidationRecord) -> None:
        if self._bar is not None:
            self._console.print(validation_table(record))
        else:
            say(validation_line(record))

    def _corrective(self, record: CorrectiveRecord) -> None:
        self._say(corrective_line(record))

    def _note(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._console.print(one_line(text), markup=False)
        else:
            say(text)

    def _show(self, bar: Progress, record: StepRecord) -> None:
        if self._task is None:
            self._task = bar.add_task("", total=record.total_steps, completed=record.step - 1)
        shown = f"epoch {record.epoch:.1f}  {_losses(record.values)}"
        bar.update(self._task, total=record.total_steps, completed=record.step, description=shown)

    def _time_left(self, record: StepRecord) -> float | None:
        # Reading the data and the first step say nothing about how long the others take.
        done = record.step - (self._first_step or record.step)
        by_steps = (time.monotonic() - self._began) / done * (record.total_steps - record.step) if done else None
        if record.seconds_left is None or by_steps is None:
            return record.seconds_left if by_steps is None else by_steps
        return min(by_steps, record.seconds_left)


def validation_table(record: ValidationRecord) -> Table:
    """Return losses and Dice of both networks as a table."""
    table = Table(
        title=f"step {record.step}, epoch {record.epoch:.1f}, {_duration(record.seconds)}", title_justify="left"
    )
    terms = [name for name in ("supervised", "dice", "cross", "joint", "labeled_cross") if f"{name}_1" in record.values]
    for column in ("network", *terms, "Dice", "on lesions", "empty kept empty", ""):
        table.add_column(column, justify="right")
    for number, (scores, best) in enumerate(zip(record.scores, record.improved, strict=True), start=1):
        losses = [f"{record.values[f'{name}_{number}']:.4f}" for name in terms]
        measured = (_percent(scores.dice), _percent(scores.lesion_dice), _percent(scores.kept_empty))
        table.add_row(str(number), *losses, *measured, "best" if best else "")
    return table


def validation_line(record: ValidationRecord) -> str:
    """Return losses and Dice of both networks as a line."""
    scores = "; ".join(
        f"network {number}: Dice {_percent(found.dice)}, on lesions {_percent(found.lesion_dice)},"
        f" empty frames kept empty {_percent(found.kept_empty)}{' (best)' if best else ''}"
        for number, (found, best) in enumerate(zip(record.scores, record.improved, strict=True), start=1)
    )
    return f"step {record.step}, {_duration(record.seconds)}, {_losses(record.values)}: {scores}"


def corrective_line(record: CorrectiveRecord) -> str:
    """Return losses of the corrective network, and Dice before and after correction, as a line."""
    found = {name: _percent(score) for name, score in record.scores.items()}
    scores = "; ".join(
        f"{kind} windows: Dice {found[f'{kind}_before']} -> {found[f'{kind}_after']}"
        for kind in ("spoiled", "untouched")
    )
    best = " (best)" if record.improved else ""
    return f"corrective step {record.step}, {_duration(record.seconds)}, {_losses(record.values)}: {scores}{best}"


def _step_line(record: StepRecord, seconds_left: float | None) -> str:
    left = "" if seconds_left is None else f", {_duration(seconds_left)} left"
    about = "" if record.seconds_left is None else "about "
    return f"step {record.step} of {about}{record.total_steps}: {_losses(record.values)}{left}"


def _losses(values: Mapping[str, float]) -> str:
    """Return each term as the mean of both networks."""
    shown = []
    for name in ("supervised", "dice", "cross", "joint", "labeled_cross", "segmentation", "consistency"):
        found = [values[key] for key in (f"{name}_1", f"{name}_2", name) if key in values]
        if found:
            shown.append(f"{name} {sum(found) / len(found):.3f}")
    return ", ".join(shown)


def _make_bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest:.0f} s" if minutes else f"{rest:.0f} s"
