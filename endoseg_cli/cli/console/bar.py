"""The bar that a command shows while it works, and which leaves nothing behind."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress, ProgressColumn


def passing_bar(*columns: ProgressColumn | str) -> Progress:
    """Return a bar on stderr that is gone when its work ends; where stderr is no terminal, nothing is written."""
    messages = Console(stderr=True)
    return Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal)
