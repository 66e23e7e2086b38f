"""The bar that a command shows while it works, and which leaves nothing behind."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress, ProgressColumn


def passing_bar(*columns: ProgressColumn | str) -> Progress:
    """Return a bar on stderr that is gone when its work ends; where stderr is no terminal, nothing is written."""
    messages = Console(stderr=True)
    if messages.is_terminal:
        return Progress(*columns, console=messages, transient=True)
    # older releases of rich end a bar that was never shown with an empty line, unless they think that someone looks
    return Progress(*columns, console=Console(stderr=True, force_interactive=True), disable=True)
