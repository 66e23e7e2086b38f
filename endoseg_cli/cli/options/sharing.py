"""The options that share the inputs of `endoseg segment` among processes and machines."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from endoseg_cli.errors import UsageError

if TYPE_CHECKING:
    from endoseg_cli.inference.inputs.sources import Shard

SHARING = "Many inputs"
MOST_JOBS = 1024


def in_torchrun() -> bool:
    """Return whether torchrun started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def is_first_rank() -> bool:
    """Return whether this process is the one that talks: the first of those that torchrun started, or the only one."""
    return not in_torchrun() or os.environ["RANK"] == "0"


@dataclass(frozen=True, kw_only=True)
class SharingOptions:
    """How many processes do the inputs, and which share of them."""

    jobs: Annotated[
        str,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N|auto",
            help="Segment N inputs at the same time, each in a process of its own; they share cores, memory and GPU."
            " auto is as many as cores and memory allow.",
            rich_help_panel=SHARING,
        ),
    ] = "1"
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Do the I-th of N shares of the inputs, as one of N machines or jobs of an array.",
            rich_help_panel=SHARING,
        ),
    ] = None

    def share(self) -> Shard | None:
        """Return the share, None for all inputs; raises UsageError also for what torchrun does already."""
        from endoseg_cli.inference.inputs.sources import parse_shard

        for option, is_given in (("--jobs", self.jobs != "1"), ("--shard", self.shard is not None)):
            if is_given and in_torchrun():
                raise UsageError(
                    f"{option}: torchrun shares the inputs among its processes already", hint="leave it out"
                )
        return None if self.shard is None else parse_shard(self.shard)

    def processes(self) -> int | None:
        """Return how many processes are asked for, None for auto."""
        text = self.jobs
        if text == "auto":
            return None
        if not text.isdecimal() or not 1 <= int(text) <= MOST_JOBS:
            raise UsageError(f"--jobs must be auto or a number from 1 to {MOST_JOBS}, found {text}")
        return int(text)
