"""How everything is said: on stderr a line each, whatever names hold; on stdout paths as they are.

Other modules of `cli` print no text of their own; what they show in bars and tables goes through `one_line`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unicodedata import category

import typer

_STEERING = frozenset({"Cc", "Zl", "Zp"})
"""Unicode's categories of control characters and of line and paragraph ends."""
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that show what follows them from right to left, so that a name looks like another."""


def one_line(text: str) -> str:
    """Return text on one line, with all that steers a terminal as escapes: names and cards must not do that."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(repr(letter)[1:-1] if _steers(letter) else letter for letter in text)


def safe_lines(text: str) -> str:
    """Return text with its lines as they are, each as `one_line` gives it: cards and notes are written in lines."""
    return "\n".join(map(one_line, text.split("\n")))


def say(text: str, *, label: str = "", colour: str | None = None, bold: bool = False) -> None:
    """Print a line on stderr, after a label such as `error: `, which has the colour."""
    if label:
        typer.secho(label, fg=colour, bold=bold, nl=False, err=True)
    typer.echo(one_line(text), err=True)


def print_path(path: Path | str) -> None:
    """Print a path that was written on stdout: to a program as it is, to a person on one line."""
    # color: else typer leaves out of names what could be a colour, and the path is no longer that of the file
    typer.echo(one_line(str(path)) if sys.stdout.isatty() else str(path), color=True)


def _steers(letter: str) -> bool:
    return category(letter) in _STEERING or letter in _TURNING
