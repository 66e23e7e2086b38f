"""The options that the benchmarks share: what is read, how long it is measured, what is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from endoseg_cli.errors import UsageError

if TYPE_CHECKING:
    from endoseg_cli.benchmark.footage import Footage
    from endoseg_cli.benchmark.measure import MeasureConfig, Tell

MEASURE = "What is measured, and how long"
DEFAULT_SIZES = "480p,720p,1080p"


@dataclass(frozen=True, kw_only=True)
class FootageOptions:
    """Which videos, and how long."""

    input: Annotated[
        Path | None,
        typer.Option(
            "--input", metavar="FILE", help="Your video, in place of a rendered one.", rich_help_panel=MEASURE
        ),
    ] = None
    sizes: Annotated[
        str | None,
        typer.Option(
            "--sizes",
            metavar="SIZE,...",
            help=f"480p, 720p, 1080p or WIDTHxHEIGHT of the rendered video (default: {DEFAULT_SIZES}).",
            rich_help_panel=MEASURE,
        ),
    ] = None
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds", help="How long each repeat takes, about; longer is steadier.", rich_help_panel=MEASURE
        ),
    ] = 1.5
    repeats: Annotated[int, typer.Option("--repeats", help="How often, after a warm-up.", rich_help_panel=MEASURE)] = 3
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            help="Threads that compute; codecs take what they like (default: as torch finds right).",
            rich_help_panel=MEASURE,
        ),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with every repeat.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not tell what is being measured.")] = False

    def measure(self) -> MeasureConfig:
        """Return how long and how often; raises UsageError."""
        from endoseg_cli.benchmark.measure import MeasureConfig

        return MeasureConfig(seconds=self.seconds, repeats=self.repeats)

    @contextmanager
    def footage(self, tell: Tell) -> Iterator[tuple[list[Footage], Path]]:
        """Give the videos, and a folder for outputs, which is gone afterwards; raises UsageError and what files do."""
        from endoseg_cli.benchmark.folder import find_footage, own_folder
        from endoseg_cli.benchmark.footage import GivenVideo, parse_sizes

        if self.input is not None and self.sizes is not None:
            raise UsageError("--sizes are those of rendered videos, and --input is given", hint="leave one of them out")
        sizes = parse_sizes(self.sizes or DEFAULT_SIZES)
        if self.input is not None:
            GivenVideo(self.input)  # refused before anything is made
        with own_folder() as folder:
            found = find_footage(self.input, sizes, folder, tell)
            outputs = folder / "outputs"
            outputs.mkdir()
            yield found, outputs
