"""`endoseg train`: a model from few frames with masks and many without."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from endoseg_cli.cli.commands.phantom import parse_size
from endoseg_cli.cli.console.say import print_path, say
from endoseg_cli.cli.options.groups import grouped
from endoseg_cli.cli.options.training import (
    DataOptions,
    MethodOptions,
    NetworkOptions,
    ScheduleOptions,
    TrainRunOptions,
)
from endoseg_cli.errors import UsageError

if TYPE_CHECKING:
    from endoseg_cli.data.sets.sources import SourcesConfig
    from endoseg_cli.training.settings.config import TrainConfig

NOT_SETTINGS = ("out", "resume", "config", "recipe", "method", "device", "tensorboard")
PLACES = ("labeled", "negatives", "unlabeled", "val", "val_from", "split", "root", "outside_root", "cache")
LONGER = ("max_steps", "epochs", "max_time")
WITH_RESUME = ("resume", "device", "tensorboard", *PLACES, *LONGER)


@grouped
def train(
    context: typer.Context,
    data: DataOptions,
    run: TrainRunOptions,
    network: NetworkOptions,
    method: MethodOptions,
    schedule: ScheduleOptions,
) -> None:
    """Train two U-Nets that teach each other on frames without masks; write RUN/model.safetensors for `segment`.

    Example: endoseg train --labeled frames --unlabeled videos --val-fraction 0.2 --out runs/first

    Several GPUs, or processes: torchrun --nproc-per-node 2 -m endoseg_cli train ...
    """
    from endoseg_cli.cli.console.training import TrainConsole
    from endoseg_cli.training.run import RunOptions, resume_training, run_training

    given = given_options(context)
    leads = os.environ.get("RANK", "0") == "0"
    options = RunOptions(device=run.device, tensorboard=run.tensorboard)
    if run.resume is not None:
        check_alone(given, WITH_RESUME)
        with TrainConsole(run.resume, quiet=not leads) as console:
            path = resume_training(
                run.resume,
                places={name: given[name] for name in PLACES if name in given},
                longer={name: value for name, value in _training(given).items() if name in LONGER},
                options=options,
                listener=console.listener,
            )
    else:
        if run.out is None:
            raise UsageError("expected --out RUN or --resume RUN, found neither", hint="such as --out runs/first")
        sources, settings = _configs(given)
        with TrainConsole(run.out, quiet=not leads) as console:
            path = run_training(sources, settings, run.out, options=options, listener=console.listener)
    if leads:
        print_path(path)


def given_options(context: typer.Context) -> dict[str, Any]:
    """Return the options of the command line; the others have defaults, which must not go before a config file."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {
        name: context.params[name]
        for name, source in sources.items()
        if source is not None and source.name == "COMMANDLINE"
    }


def check_alone(given: dict[str, Any], allowed: tuple[str, ...]) -> None:
    """Raise UsageError for options that say what a resumed run knows already."""
    others = [f"--{name.replace('_', '-')}" for name in given if name not in allowed]
    if others:
        raise UsageError(
            f"--resume goes on with the run's own settings, found {', '.join(others)} besides",
            hint="leave these out, or begin a new run with --config RUN/config.yaml and --out",
        )


def _configs(given: dict[str, Any]) -> tuple[SourcesConfig, TrainConfig]:
    """Return the configs of defaults, config file, recipe and options, later ones going before earlier ones."""
    from endoseg_cli.data.sets.sources import SourcesConfig
    from endoseg_cli.training.methods.table import idle_options, method_settings
    from endoseg_cli.training.settings.config import TrainConfig, recipe_settings
    from endoseg_cli.training.settings.config_file import build_config, merge_settings, read_config

    file = read_config(Path(given["config"])) if "config" in given else {"data": {}, "training": {}}
    if "recipe" in given and "method" in given:
        raise UsageError("--recipe chooses strategies of endo-semis, found --method besides", hint="give one of them")
    chosen = recipe_settings(given["recipe"]) if "recipe" in given else {}
    chosen = method_settings(given["method"]) if "method" in given else chosen
    name = chosen.get("method") or file["training"].get("method") or TrainConfig.method
    for option in sorted(idle_options(name) & given.keys()):
        raise UsageError(f"--{option.replace('_', '-')} does not count in the method {name}", hint="leave it out")
    training = merge_settings({**_of_the_model(given), **method_settings(name)}, file["training"])
    training = merge_settings(merge_settings(training, chosen), _training(given))
    if "weights" in given and "encoder_weights" in given:
        raise UsageError("--weights and --encoder-weights: expected one of them, found both")
    if "views" in given:
        training["augment"] = {**(training.get("augment") or {}), "labeled_views": given["views"]}
    if "color_jitter" in given:
        augment = dict(training.get("augment") or {})
        jitter = {**(augment.get("colour_jitter") or {}), "probability": given["color_jitter"]}
        training["augment"] = {**augment, "colour_jitter": jitter}
    data = {**file["data"], **{name: given[name] for name in _data_settings() if name in given}}
    return build_config(SourcesConfig, data, "data."), build_config(TrainConfig, training, "training.")


def _data_settings() -> list[str]:
    from endoseg_cli.data.sets.sources import SourcesConfig

    return [field.name for field in fields(SourcesConfig)]


def _of_the_model(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a model to start from decides unless they are given: architecture, size, view."""
    if "weights" not in given:
        return {}
    from endoseg_cli.networks.files.bundle import load_card
    from endoseg_cli.networks.files.models import resolve_weights

    card = load_card(resolve_weights(given["weights"]))
    if card.second is not None:
        say(
            f"note: {card.name} holds two architectures, both networks start from one: the first network's;"
            " --encoder and --decoder-channels choose the second's"
        )
    return {
        "encoder": card.architecture.encoder,
        "decoder_channels": card.architecture.decoder_channels,
        "size": card.input_size,
        "field_of_view": card.field_of_view,
    }


def _training(given: dict[str, Any]) -> dict[str, Any]:
    from endoseg_cli.networks.files.models import resolve_weights

    own = ("weights", "views", "color_jitter", *NOT_SETTINGS, *(name for name in _data_settings() if name != "seed"))
    settings = {name: value for name, value in given.items() if name not in own}
    if "weights" in given:
        settings["start_from"] = str(resolve_weights(given["weights"]))
    readers = {"size": parse_size, "decoder_channels": _parse_widths, "max_time": parse_time}
    return {name: readers[name](value) if name in readers else value for name, value in settings.items()}


def parse_time(text: str) -> float:
    """Return seconds of a text like 90s, 45m or 2h; raises UsageError for anything else, a bare number too."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    try:
        return float(text[:-1]) * units[text[-1:]]
    except (ValueError, KeyError) as error:
        raise UsageError(
            f"--max-time must be a number with s, m or h, found {text}", hint="such as 90s, 45m or 2h"
        ) from error


def _parse_widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"--decoder-channels must be five numbers with commas, found {text}", hint="such as 256,128,64,32,16"
        ) from error
