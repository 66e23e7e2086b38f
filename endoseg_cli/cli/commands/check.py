"""`endoseg check`: read all data before training and list everything wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from endoseg_cli.cli.console.bar import passing_bar
from endoseg_cli.cli.console.say import one_line, say
from endoseg_cli.cli.options.groups import grouped
from endoseg_cli.cli.options.privacy import RedactOptions
from endoseg_cli.cli.options.training import DataOptions
from endoseg_cli.errors import InputError, UsageError

if TYPE_CHECKING:
    from endoseg_cli.data.sets.check import DataReport
    from endoseg_cli.data.sets.frame_facts import ForegroundFacts, SetFacts

PIPE_WIDTH = 10_000
"""Where there is no terminal, lines are as long as their names."""
SHOWN_SIZES = 3
"""How many picture sizes of a set the table names."""


@grouped
def check(
    data: DataOptions,
    privacy: RedactOptions,
    seed: Annotated[int, typer.Option("--seed", help="Seed that --val-fraction draws patients with.")] = 0,
    contact_sheet: Annotated[
        Path | None, typer.Option("--contact-sheet", help="Write a PNG with frames and outlined masks to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Read every file of the data and list every fault at once: exit code 0 if there is none, else 3.

    Example: endoseg check --labeled frames --unlabeled videos --val-fraction 0.2 --contact-sheet sheet.png
    """
    from endoseg_cli.data.sets.check import check_sources

    redact = privacy.redaction()
    if redact and contact_sheet is None:
        raise UsageError("--redact belongs to --contact-sheet, which is not given", hint="leave it out")
    with passing_bar() as progress:
        task = progress.add_task("reading", total=None)
        report = check_sources(
            data.sources(seed),
            contact_sheet=contact_sheet,
            redact=redact,
            on_video=lambda video: progress.console.print(Text(one_line(f"decoding {video}")), soft_wrap=True),
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _print_tables(report)
    _print_findings(report)
    if report.faults:
        raise typer.Exit(InputError.exit_code)


def _print_tables(report: DataReport) -> None:
    """Print counts, sizes and foreground of the sets, then of the patients or videos, on stdout."""
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    table = _table("", "frames", "folders", "sizes", "with lesion", "lesion size, %")
    groups = _table("folder", "frames", "with lesion", "lesion size, %")
    sets = (
        ("labelled", report.labeled),
        ("validation", report.val),
        ("unlabelled", report.unlabeled),
        ("lesion-free", report.negatives),
    )
    for title, facts in sets:
        if facts.frames:
            table.add_row(title, str(facts.frames), str(facts.groups), _sizes(facts.sizes), *_foreground(facts))
        for group, of_group in facts.per_group.items():
            groups.add_row(Text(one_line(f"{title} {group or '.'}")), str(of_group.masks), *_lesions(of_group))
    if table.row_count:
        console.print(table)
    if groups.row_count:
        console.print(groups)
    if report.labeled.foreground or report.val.foreground:
        console.print("lesion size: quartiles over the frames with a lesion, in % of the picture")


def _table(*headings: str) -> Table:
    table = Table(box=SIMPLE, show_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table


def _sizes(sizes: dict[str, int]) -> str:
    """Name the three commonest sizes; 17,000 frames may have hundreds."""
    shown = [f"{size} ({count})" for size, count in list(sizes.items())[:SHOWN_SIZES]]
    rest = len(sizes) - len(shown)
    return "\n".join([*shown, f"and {rest} more"] if rest else shown)


def _foreground(facts: SetFacts) -> tuple[str, str]:
    return ("", "") if facts.foreground is None else _lesions(facts.foreground)


def _lesions(facts: ForegroundFacts) -> tuple[str, str]:
    share = f"{facts.with_lesion} ({100 * facts.with_lesion / facts.masks:.0f} %)"
    if facts.quartiles is None:
        return share, ""
    return share, " / ".join(f"{100 * quartile:.1f}" for quartile in facts.quartiles)


def _print_findings(report: DataReport) -> None:
    """Print every fault and warning on stderr, one a line, and how many faults there are."""
    for warning in report.warnings:
        say(f"warning: {warning}")
    for fault in report.faults:
        say(f"fault: {fault.message}")
    count = len(report.faults)
    say("no faults" if count == 0 else f"{count} fault{'s' if count > 1 else ''}")
