"""What people see while a command runs: progress, plain lines where there is no terminal, errors, a summary."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from endoseg_cli.cli.console.say import one_line, say
from endoseg_cli.inference.inputs.addresses import called

if TYPE_CHECKING:
    from endoseg_cli.errors import EndosegError
    from endoseg_cli.inference.flow.stages import StageSeconds
    from endoseg_cli.inference.inputs.sources import Source
    from endoseg_cli.inference.pipeline import Outcome, Progress

PLAIN_LINE_SECONDS = 5.0
"""How often progress is told where stderr is no terminal."""


def print_error(message: str, hint: str | None = None, details: Sequence[str] = ()) -> None:
    """Print an error on stderr: one line that says what, one for each detail, one that says what to do."""
    say(message, label="error: ", colour=typer.colors.RED, bold=True)
    for detail in details:
        say(f"  {detail}")
    if hint:
        say(hint, label="hint: ", colour=typer.colors.CYAN)


def print_warning(message: str) -> None:
    """Print a warning on stderr."""
    say(message, label="warning: ", colour=typer.colors.YELLOW)


class SegmentConsole:
    """Tells a segmentation job on stderr: a bar on a terminal, a line every few seconds elsewhere."""

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        self._quiet, self._verbose = quiet, verbose
        self._bar: Bar | None = None
        self._task = None if quiet or not sys.stderr.isatty() else self._start_bar()
        self._name, self._unit = "", "frames"
        self._told = 0.0

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def note(self, text: str) -> None:
        """Say something that only `--verbose` wants to know."""
        if self._verbose:
            say(text)

    def noted(self, text: str) -> None:
        """Say what was left out of the inputs."""
        if not self._quiet:
            say(f"note: {text}")

    def started(self, source: Source) -> None:
        """Begin an input."""
        self._name, self._unit, self._told = self._shown(source), "frames", time.monotonic()
        if self._bar is not None and self._task is not None:
            self._bar.reset(self._task, total=None, description=one_line(self._name), rate="")

    def started_pictures(self, count: int) -> None:
        """Begin several still pictures."""
        self._name, self._unit, self._told = "stills", "pictures", time.monotonic()
        if self._bar is not None and self._task is not None:
            self._bar.reset(self._task, total=count, description=f"{count} pictures", rate="")

    def started_many(self, inputs: int, processes: int) -> None:
        """Begin all inputs at once."""
        self._name, self._unit, self._told = f"{inputs} inputs", "frames", time.monotonic()
        self.note(f"{inputs} inputs by {processes} processes")
        if self._bar is not None and self._task is not None:
            self._bar.reset(self._task, total=None, description=one_line(self._name), rate="")

    def progressed(self, progress: Progress) -> None:
        """Tell how far a video, or several pictures, have come."""
        rate = progress.frames / max(progress.seconds, 1e-6)
        if self._bar is not None and self._task is not None:
            total = max(progress.total, progress.frames) if progress.total else None
            self._bar.update(self._task, completed=progress.frames, total=total, rate=f"{rate:.1f} {self._unit}/s")
        elif not self._quiet and time.monotonic() - self._told >= PLAIN_LINE_SECONDS:
            self._told = time.monotonic()
            say(self._plain_line(progress, rate))

    def finished(self, outcome: Outcome) -> None:
        """Sum up an input."""
        if not self._quiet:
            say(f"{self._shown(outcome.targets.source)}: {_summary(outcome)}")
        for warning in (*outcome.damage, *outcome.warnings):
            print_warning(f"{self._shown(outcome.targets.source)}: {warning}")
        if self._verbose:
            say(_stage_line(outcome.frames, outcome.stages))

    def finished_pictures(self, outcomes: Sequence[Outcome], seconds: float, stages: StageSeconds) -> None:
        """Sum up several pictures in one line."""
        count, lesions = len(outcomes), sum(outcome.lesion_frames for outcome in outcomes)
        if not self._quiet and count:
            rate, share = count / max(seconds, 1e-6), 100 * lesions / count
            noun = "picture" if count == 1 else "pictures"
            speed = f"{count} {noun} in {duration(seconds)} ({rate:.1f} pictures/s)"
            say(f"{speed}, lesion in {lesions} ({share:.0f} %)")
        warnings = Counter(warning for outcome in outcomes for warning in outcome.warnings)
        for warning, pictures in warnings.items():
            print_warning(f"{pictures} of {count} pictures: {warning}")
        if self._verbose and count:
            say(_stage_line(count, stages))

    def stopped_pictures(self, done: int, total: int) -> None:
        """Tell how many pictures were done when an interruption came."""
        print_warning(f"stopped early; {done} of {total} pictures are done, their files are complete")

    def failed(self, source: Source, error: EndosegError) -> None:
        """Tell that one input of several failed."""
        print_error(error.message, error.hint, error.details)

    def summed_up(self, done: int, before: int, failures: Sequence[tuple[Source, EndosegError]]) -> None:
        """Tell what became of all videos of a job that many machines did, and which ones failed and why."""
        if not self._quiet:
            videos = done + before + len(failures)
            noun = "video" if videos == 1 else "videos"
            say(f"{videos} {noun}: {done} done, {before} done before, {len(failures)} failed")
        for source, error in failures:
            print_warning(f"failed: {called(source.path)}: {error.message}")

    def kept(self, parts: Sequence[Path], frames: int) -> None:
        """Tell what an interruption left."""
        if parts:
            print_warning(f"stopped early; {frames} frames are kept in {', '.join(str(part) for part in parts)}")

    def _shown(self, source: Source) -> str:
        """Return what to call an input where it is no error: logs are kept, and paths may name patients."""
        return called(source.path) if self._verbose else source.name

    def _plain_line(self, progress: Progress, rate: float) -> str:
        about = "about " if self._unit == "frames" else ""
        total = f" of {about}{progress.total}" if progress.total else ""
        left = f", {duration((progress.total - progress.frames) / rate)} left" if progress.total and rate else ""
        return f"{self._name}: {progress.frames}{total} {self._unit}, {rate:.1f} {self._unit}/s{left}"

    def _start_bar(self) -> TaskID:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        return self._bar.add_task("", total=None, rate="")


def _summary(outcome: Outcome) -> str:
    rate = outcome.frames / max(outcome.seconds, 1e-6)
    share = 100 * outcome.lesion_frames / outcome.predicted_frames if outcome.predicted_frames else 0
    predicted = "" if outcome.predicted_frames == outcome.frames else f" {outcome.predicted_frames} of them predicted,"
    refined = f", {outcome.refine_counts.refined_frames} frames refined" if outcome.refine != "off" else ""
    return (
        f"{outcome.frames} frames in {duration(outcome.seconds)} ({rate:.1f} frames/s),"
        f"{predicted} lesion in {outcome.lesion_frames} ({share:.0f} %){refined}"
    )


def _stage_line(frames: int, stages: StageSeconds) -> str:
    rates = [f"{stage} {frames / busy:.1f}" for stage, busy in vars(stages).items() if busy > 0]
    return f"  frames/s of each stage alone: {', '.join(rates)}"


def duration(seconds: float) -> str:
    """Return seconds as people say them, such as 3 min 20 s."""
    if seconds < 59.95:  # beyond, one decimal would make it 60.0
        return f"{max(seconds, 0):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
