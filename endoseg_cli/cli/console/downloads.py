"""What people see of a download: a bar on a terminal, a line every few seconds elsewhere, and the table of weights."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from endoseg_cli.cli.console.lines import PLAIN_LINE_SECONDS
from endoseg_cli.cli.console.say import one_line, say


class DownloadConsole:
    """Tells on stderr how far a download has come."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._name, self._told = quiet, "", 0.0
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        on_terminal = not quiet and sys.stderr.isatty()
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True) if on_terminal else None
        self._task = None if self._bar is None else self._bar.add_task("", total=None, visible=False)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def started(self, name: str) -> None:
        """Begin a file."""
        self._name, self._told = name, time.monotonic()
        if self._bar is not None and self._task is not None:
            self._bar.reset(self._task, total=None, description=one_line(name))

    def progressed(self, done: int, total: int | None) -> None:
        """Tell the bytes that have come."""
        if self._bar is not None and self._task is not None:
            self._bar.start()
            self._bar.update(self._task, completed=done, total=total, visible=True)
        elif not self._quiet and time.monotonic() - self._told >= PLAIN_LINE_SECONDS:
            self._told = time.monotonic()
            of = f" of {_megabytes(total)}" if total else ""
            say(f"{self._name}: {_megabytes(done)}{of}")


def print_weights(weights: Sequence[dict[str, Any]], *, to_stderr: bool) -> None:
    """Print the table of all weights with their state."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "state", "size", "licence", "what it is"):
        table.add_column(heading, no_wrap=heading in ("name", "state", "size"))
    for row in weights:
        size = _megabytes(row["size"]) if row["size"] else ""
        cells = (row["name"], row["state"], size, row["licence"], row["description"])
        table.add_row(*(Text(one_line(str(cell))) for cell in cells))
    Console(stderr=to_stderr).print(table)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
