"""Faults of a data set: collected one by one, told all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from endoseg_cli.errors import InputError

FaultKind = Literal["missing", "unreadable", "partner", "size", "mask", "foreground", "leak", "entry"]

SHOWN_FAULTS = 10
"""How many faults an error message lists before it only counts the rest."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing wrong with one file of a data set."""

    kind: FaultKind
    """What sort of fault: missing path, unreadable file, no partner, size, mask values, no foreground, leak, entry."""
    path: Path
    """The file or folder to look at."""
    message: str
    """What was expected and what was found, with the file's name, on one line."""


def raise_faults(faults: Sequence[Fault], *, hint: str | None = None) -> None:
    """Raise one InputError that lists every fault (the first ten, then their number); do nothing if there is none."""
    if not faults:
        return
    lines = [fault.message for fault in faults[:SHOWN_FAULTS]]
    if len(faults) > SHOWN_FAULTS:
        lines.append(f"and {len(faults) - SHOWN_FAULTS} more")
    if len(faults) == 1:
        raise InputError(lines[0], hint=hint)
    raise InputError(f"{len(faults)} faults in the data", hint=hint, details=lines)
