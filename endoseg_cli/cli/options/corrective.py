"""The options of `endoseg train-corrective` in groups: its data and its schedule."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from endoseg_cli.cli.options.completion import complete_weights
from endoseg_cli.cli.options.training import DATA, SCHEDULE


@dataclass(frozen=True, kw_only=True)
class CorrectiveDataOptions:
    """The model that is corrected, and the clips that the corrective network learns from."""

    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            autocompletion=complete_weights,
            help="Model to add it to (default: the bundled one).",
            rich_help_panel=DATA,
        ),
    ] = None
    predictor: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Model that predicts the clips, best one that never saw them (default: the same).",
            rich_help_panel=DATA,
        ),
    ] = None
    labeled: Annotated[
        list[Path] | None,
        typer.Option(help="Stills with masks: cameras move over them. May be repeated.", rich_help_panel=DATA),
    ] = None
    sequences: Annotated[
        list[Path] | None,
        typer.Option(
            help="Consecutive frames with masks, a folder per sequence in the order of names; or videos, NAME_masks"
            " beside NAME.mp4. May be repeated.",
            rich_help_panel=DATA,
        ),
    ] = None
    unlabeled: Annotated[
        list[Path] | None,
        typer.Option(
            help="Video or folder of videos; learned from where the networks agree surely. May be repeated.",
            rich_help_panel=DATA,
        ),
    ] = None
    phantom: Annotated[int, typer.Option(help="Clips to render.", rich_help_panel=DATA)] = 0
    val: Annotated[
        Path | None,
        typer.Option(help="Stills with masks to validate on (default: a tenth of all).", rich_help_panel=DATA),
    ] = None
    val_phantom: Annotated[
        int, typer.Option(help="Clips to render and validate on alone, instead of --val.", rich_help_panel=DATA)
    ] = 0
    frames_per_second: Annotated[
        float, typer.Option(help="Frame rate of sequences of pictures.", rich_help_panel=DATA)
    ] = 25.0


@dataclass(frozen=True, kw_only=True)
class CorrectiveScheduleOptions:
    """How long and how fast the corrective network learns."""

    window: Annotated[int, typer.Option(help="Frames that a correction looks at; odd.", rich_help_panel=SCHEDULE)] = 5
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH",
            help="Size that the corrective network works at (default: the model's input).",
            rich_help_panel=SCHEDULE,
        ),
    ] = None
    clips: Annotated[
        int, typer.Option(help="Clips of stills; also the most of sequences and videos.", rich_help_panel=SCHEDULE)
    ] = 160
    max_steps: Annotated[int, typer.Option(help="Steps to train.", rich_help_panel=SCHEDULE)] = 1000
    max_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="Train at most so long: 90s, 45m, 2h.", rich_help_panel=SCHEDULE)
    ] = None
    validate_every: Annotated[int, typer.Option(help="Steps between validations.", rich_help_panel=SCHEDULE)] = 100
    batch_size: Annotated[int, typer.Option(help="Windows in a batch.", rich_help_panel=SCHEDULE)] = 8
    learning_rate: Annotated[float, typer.Option(help="At the start of the cosine.", rich_help_panel=SCHEDULE)] = 2e-3
    consistency_weight: Annotated[
        float, typer.Option(help="Weight of consecutive outputs' difference.", rich_help_panel=SCHEDULE)
    ] = 1.0
    seed: Annotated[int, typer.Option(help="Seed of every random draw.", rich_help_panel=SCHEDULE)] = 0
