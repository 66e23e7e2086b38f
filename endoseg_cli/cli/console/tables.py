"""Tables of an evaluation on stdout."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from endoseg_cli.cli.console.say import one_line, safe_lines

if TYPE_CHECKING:
    from endoseg_cli.evaluation.report.tables import Table as Shown

PIPE_WIDTH = 160
"""Columns of the tables where stdout is no terminal; the widest needs about 130."""


def print_tables(tables: Iterable[Shown]) -> None:
    """Print tables, each with its note below."""
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=PIPE_WIDTH)
    for shown in tables:
        table = Table(title=Text(one_line(shown.title), style="bold"), title_justify="left", box=SIMPLE)
        for index, column in enumerate(shown.columns):
            table.add_column(column, justify="right" if index else "left", no_wrap=index > 0)
        for row in shown.rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))
        console.print(table)
        if shown.note:
            console.print(Text(safe_lines(shown.note), style="dim"))
