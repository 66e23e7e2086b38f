"""`endoseg train-corrective`: a corrective network for a model that is trained already."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from endoseg_cli.cli.commands.phantom import parse_size
from endoseg_cli.cli.commands.train import check_alone, given_options, parse_time
from endoseg_cli.cli.console.say import print_path
from endoseg_cli.cli.options.corrective import CorrectiveDataOptions, CorrectiveScheduleOptions
from endoseg_cli.cli.options.groups import grouped
from endoseg_cli.cli.options.training import RunOptions
from endoseg_cli.errors import UsageError

NOT_SETTINGS = ("out", "resume", "config", "device")


@grouped
def train_corrective(
    context: typer.Context, data: CorrectiveDataOptions, run: RunOptions, schedule: CorrectiveScheduleOptions
) -> None:
    """Train the network that repairs predictions in video; write RUN/model.safetensors with it added to the model.

    Example: endoseg train-corrective --weights model.safetensors --labeled frames --phantom 20 --out runs/corrective
    """
    from endoseg_cli.cli.console.training import TrainConsole
    from endoseg_cli.training.corrective.run import resume_corrective, run_corrective

    given = given_options(context)
    leads = os.environ.get("RANK", "0") == "0"
    if run.resume is not None:
        check_alone(given, ("resume", "device"))
        with TrainConsole(run.resume, quiet=not leads, command="train-corrective") as console:
            path = resume_corrective(run.resume, device=run.device, listener=console.listener)
    else:
        if run.out is None:
            raise UsageError("expected --out RUN or --resume RUN, found neither", hint="such as --out runs/corrective")
        sources, settings = _configs(given)
        with TrainConsole(run.out, quiet=not leads, command="train-corrective") as console:
            path = run_corrective(sources, settings, run.out, device=run.device, listener=console.listener)
    if leads:
        print_path(path)


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
