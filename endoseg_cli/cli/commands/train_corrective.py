"""`endoseg train-corrective`: a corrective network for a model that is trained already."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from endoseg_cli.cli.commands.phantom import parse_size
from endoseg_cli.cli.commands.train import check_alone, given_options, parse_time
from endoseg_cli.cli.options.completion import complete_device, complete_weights
from endoseg_cli.errors import UsageError

RUN, DATA, SCHEDULE = "Run", "Data", "Schedule"
NOT_SETTINGS = ("out", "resume", "config", "device")


def train_corrective(
    context: typer.Context,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            autocompletion=complete_weights,
            help="Model to add it to (default: the bundled one).",
            rich_help_panel=DATA,
        ),
    ] = None,
    predictor: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Model that predicts the clips, best one that never saw them (default: the same).",
            rich_help_panel=DATA,
        ),
    ] = None,
    labeled: Annotated[
        list[Path] | None,
        typer.Option(help="Stills with masks: cameras move over them. May be repeated.", rich_help_panel=DATA),
    ] = None,
    sequences: Annotated[
        list[Path] | None,
        typer.Option(
            help="Consecutive frames with masks, a folder per sequence in the order of names; or videos, NAME_masks"
            " beside NAME.mp4. May be repeated.",
            rich_help_panel=DATA,
        ),
    ] = None,
    unlabeled: Annotated[
        list[Path] | None,
        typer.Option(
            help="Video or folder of videos; learned from where the networks agree surely. May be repeated.",
            rich_help_panel=DATA,
        ),
    ] = None,
    phantom: Annotated[int, typer.Option(help="Clips to render.", rich_help_panel=DATA)] = 0,
    val: Annotated[
        Path | None,
        typer.Option(help="Stills with masks to validate on (default: a tenth of all).", rich_help_panel=DATA),
    ] = None,
    val_phantom: Annotated[
        int, typer.Option(help="Clips to render and validate on alone, instead of --val.", rich_help_panel=DATA)
    ] = 0,
    frames_per_second: Annotated[
        float, typer.Option(help="Frame rate of sequences of pictures.", rich_help_panel=DATA)
    ] = 25.0,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder.", rich_help_panel=RUN)] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with a run where it stopped.", rich_help_panel=RUN),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="Settings; options given here go before.", rich_help_panel=RUN),
    ] = None,
    window: Annotated[int, typer.Option(help="Frames that a correction looks at; odd.", rich_help_panel=SCHEDULE)] = 5,
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Size to train at (default: the model's).", rich_help_panel=SCHEDULE),
    ] = None,
    clips: Annotated[
        int, typer.Option(help="Clips of stills; also the most of sequences and videos.", rich_help_panel=SCHEDULE)
    ] = 160,
    max_steps: Annotated[int, typer.Option(help="Steps to train.", rich_help_panel=SCHEDULE)] = 1000,
    max_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="Train at most so long: 90s, 45m, 2h.", rich_help_panel=SCHEDULE)
    ] = None,
    validate_every: Annotated[int, typer.Option(help="Steps between validations.", rich_help_panel=SCHEDULE)] = 100,
    batch_size: Annotated[int, typer.Option(help="Windows in a batch.", rich_help_panel=SCHEDULE)] = 8,
    learning_rate: Annotated[float, typer.Option(help="At the start of the cosine.", rich_help_panel=SCHEDULE)] = 2e-3,
    consistency_weight: Annotated[
        float, typer.Option(help="Weight of consecutive outputs' difference.", rich_help_panel=SCHEDULE)
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of every random draw.", rich_help_panel=SCHEDULE)] = 0,
    device: Annotated[
        str, typer.Option(autocompletion=complete_device, help="auto, cpu, cuda, cuda:n or mps.", rich_help_panel=RUN)
    ] = "auto",
) -> None:
    """Train the network that repairs predictions in video; write RUN/model.safetensors with it added to the model.

    Example: endoseg train-corrective --weights model.safetensors --labeled frames --phantom 20 --out runs/corrective
    """
    from endoseg_cli.cli.console.training import TrainConsole
    from endoseg_cli.training.corrective.run import resume_corrective, run_corrective

    given = given_options(context)
    leads = os.environ.get("RANK", "0") == "0"
    if resume is not None:
        check_alone(given, ("resume", "device"))
        with TrainConsole(resume, quiet=not leads, command="train-corrective") as console:
            path = resume_corrective(resume, device=device, listener=console.listener)
    else:
        if out is None:
            raise UsageError("expected --out RUN or --resume RUN, found neither", hint="such as --out runs/corrective")
        sources, settings = _configs(given)
        with TrainConsole(out, quiet=not leads, command="train-corrective") as console:
            path = run_corrective(sources, settings, out, device=device, listener=console.listener)
    if leads:
        typer.echo(path)


def _configs(given: dict[str, Any]) -> tuple[Any, Any]:
    """Return the configs of defaults, config file and options, later ones going before earlier ones."""
    from dataclasses import fields

    from endoseg_cli.training.corrective.config import CorrectiveSources, CorrectiveTrainConfig
    from endoseg_cli.training.corrective.run import CORRECTIVE_SECTIONS
    from endoseg_cli.training.settings.config_file import build_config, read_config

    file: dict[str, dict[str, Any]] = {name: {} for name in CORRECTIVE_SECTIONS}
    if "config" in given:
        file = read_config(Path(given["config"]), CORRECTIVE_SECTIONS)
    readers = {"size": parse_size, "max_time": parse_time}
    settings = {
        name: readers[name](value) if name in readers else value
        for name, value in given.items()
        if name not in NOT_SETTINGS
    }
    of_data = {field.name for field in fields(CorrectiveSources)}
    data = {**file["data"], **{name: value for name, value in settings.items() if name in of_data}}
    training = {**file["corrective"], **{name: value for name, value in settings.items() if name not in of_data}}
    return build_config(CorrectiveSources, data, "data."), build_config(CorrectiveTrainConfig, training, "corrective.")
