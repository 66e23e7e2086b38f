"""`endoseg train`: a model from few frames with masks and many without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from endoseg_cli.cli.commands.phantom import parse_size
from endoseg_cli.cli.options.completion import complete_device, complete_weights
from endoseg_cli.errors import UsageError

if TYPE_CHECKING:
    from endoseg_cli.data.sets.sources import SourcesConfig
    from endoseg_cli.training.settings.config import TrainConfig

RUN, DATA, NETWORK, METHOD, SCHEDULE = "Run", "Data", "Network", "Method (Endo-SemiS)", "Schedule"
DATA_SETTINGS = (
    "labeled",
    "negatives",
    "unlabeled",
    "val",
    "val_fraction",
    "val_from",
    "split",
    "root",
    "frames_per_second",
    "cache",
    "seed",
)
NOT_SETTINGS = ("out", "resume", "config", "recipe", "method", "device", "tensorboard")
PLACES = ("labeled", "negatives", "unlabeled", "val", "val_from", "split", "root", "cache")
LONGER = ("max_steps", "epochs", "max_time")
WITH_RESUME = ("resume", "device", "tensorboard", *PLACES, *LONGER)


def train(
    context: typer.Context,
    labeled: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of images and masks or LabelMe files, or COCO file. May be given more than once.",
            rich_help_panel=DATA,
        ),
    ] = None,
    unlabeled: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of frames, video, or folder of videos. May be given more than once. Without it, training is"
            " supervised.",
            rich_help_panel=DATA,
        ),
    ] = None,
    negatives: Annotated[
        list[Path] | None,
        typer.Option(
            help="Frames or videos known to show no lesion, without masks. May be given more than once.",
            rich_help_panel=DATA,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder.", rich_help_panel=RUN)] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Go on with a run where it stopped, with its own settings. --labeled, --unlabeled, ... say where its"
            " data lie now; a larger --max-steps, --epochs or --max-time makes it longer.",
            rich_help_panel=RUN,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.yaml",
            help="Settings, such as a run's config.yaml; options given here go before.",
            rich_help_panel=RUN,
        ),
    ] = None,
    val_from: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Validate on the frames that this run validated on; all other labelled frames train.",
            rich_help_panel=DATA,
        ),
    ] = None,
    val: Annotated[
        Path | None, typer.Option(help="Labelled frames to validate on, given like --labeled.", rich_help_panel=DATA)
    ] = None,
    val_fraction: Annotated[
        float | None,
        typer.Option(help="Validate on this share of the labelled frames, by folder.", rich_help_panel=DATA),
    ] = None,
    split: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Split file that names all frames.", rich_help_panel=DATA)
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Where the names in the split file are looked up.", rich_help_panel=DATA)
    ] = None,
    frames_per_second: Annotated[
        float, typer.Option(help="How densely unlabelled videos are sampled.", rich_help_panel=DATA)
    ] = 2.0,
    cache: Annotated[
        Path | None, typer.Option(help="Where the frames of videos are kept.", rich_help_panel=DATA)
    ] = None,
    encoder: Annotated[
        Literal[
            "resnet18",
            "resnet34",
            "resnet50",
            "mobilenet_v2",
            "efficientnet_lite0",
            "efficientnet_lite1",
            "efficientnet_lite2",
        ],
        typer.Option(help="Encoder of both U-Nets.", rich_help_panel=NETWORK),
    ] = "resnet34",
    encoder_weights: Annotated[
        str,
        typer.Option(
            help="What the encoders start from: imagenet (cache, else Hub), none, or a state dict's file.",
            rich_help_panel=NETWORK,
        ),
    ] = "imagenet",
    decoder_channels: Annotated[
        str, typer.Option(help="Width of the five decoder blocks.", rich_help_panel=NETWORK)
    ] = "256,128,64,32,16",
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Size of the network's input.", rich_help_panel=NETWORK)
    ] = "256",
    field_of_view: Annotated[
        Literal["auto", "off"],
        typer.Option(help="Crop frames to the endoscope's picture before resizing.", rich_help_panel=NETWORK),
    ] = "auto",
    weights: Annotated[
        Path | None,
        typer.Option(
            autocompletion=complete_weights,
            help="Model to start from (file, run folder, name); decides encoder, decoder, size and field of view.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="How to learn from --unlabeled: supervised, mean-teacher, fixmatch, unimatch, cps or endo-semis.",
            rich_help_panel=METHOD,
        ),
    ] = "endo-semis",
    recipe: Annotated[
        Literal["endo-semis", "endo-semis-paper", "cps", "supervised"],
        typer.Option(
            help="Strategies of endo-semis: all, all as in the paper, cross-supervision alone, or none; switches below"
            " go before.",
            rich_help_panel=METHOD,
        ),
    ] = "endo-semis",
    cross_supervision: Annotated[
        bool, typer.Option(help="Learn weak views from the other network.", rich_help_panel=METHOD)
    ] = True,
    joint_pseudo_label: Annotated[
        bool, typer.Option(help="Learn strong views from the surer network.", rich_help_panel=METHOD)
    ] = True,
    labeled_cross: Annotated[
        bool, typer.Option(help="Learn labelled frames from the other network too.", rich_help_panel=METHOD)
    ] = False,
    mutual_learning: Annotated[
        bool | None,
        typer.Option(
            help="Pull logits and features together (default: with --unlabeled only).", rich_help_panel=METHOD
        ),
    ] = None,
    uncertainty_guidance: Annotated[
        bool, typer.Option(help="Trust pseudo-labels below the threshold only.", rich_help_panel=METHOD)
    ] = True,
    num_passes: Annotated[int, typer.Option(help="Stochastic passes of a teacher.", rich_help_panel=METHOD)] = 5,
    threshold_scope: Annotated[
        Literal["image", "pseudo-class"],
        typer.Option(help="Pixels the threshold is taken among; image is the paper's.", rich_help_panel=METHOD),
    ] = "pseudo-class",
    certainty: Annotated[
        Literal["own", "both"],
        typer.Option(help="Networks whose passes tell how certain; own is the paper's.", rich_help_panel=METHOD),
    ] = "both",
    min_confidence: Annotated[
        float,
        typer.Option(help="Trust no pixel less sure than this probability; 0.5 trusts any.", rich_help_panel=METHOD),
    ] = 0.7,
    reduction: Annotated[
        Literal["all", "kept"],
        typer.Option(help="Pixels masked losses are divided by; all is the paper's.", rich_help_panel=METHOD),
    ] = "kept",
    warm_up_steps: Annotated[
        int | None,
        typer.Option(help="Supervised steps first (default: a quarter, at most 500).", rich_help_panel=METHOD),
    ] = None,
    ramp_steps: Annotated[
        int | None,
        typer.Option(help="Steps of the ramp-up (default: 5 epochs, at most a quarter).", rich_help_panel=METHOD),
    ] = None,
    unsupervised_weight: Annotated[
        float, typer.Option(help="lambda at the end of the ramp-up.", rich_help_panel=METHOD)
    ] = 1.2,
    mutual_weight: Annotated[float, typer.Option(help="Weight of mutual learning.", rich_help_panel=METHOD)] = 0.5,
    logit_weight: Annotated[
        float, typer.Option(help="Weight of the outputs' difference in it; 1 is the paper's.", rich_help_panel=METHOD)
    ] = 0.5,
    epochs: Annotated[
        int, typer.Option(help="Passes over the unlabelled frames (else the labelled).", rich_help_panel=SCHEDULE)
    ] = 100,
    max_steps: Annotated[
        int | None, typer.Option(help="Steps to train, in place of epochs.", rich_help_panel=SCHEDULE)
    ] = None,
    max_time: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Train at most so long, both stages: 90s, 45m, 2h.", rich_help_panel=SCHEDULE
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="Stop after so many validations without a better network.", rich_help_panel=SCHEDULE),
    ] = None,
    validate_every: Annotated[
        int | None, typer.Option(help="Steps between validations (default: once per epoch).", rich_help_panel=SCHEDULE)
    ] = None,
    select: Annotated[
        Literal["best", "last"],
        typer.Option(
            help="Weights that go into the model: each network's best on --val, or the last.", rich_help_panel=SCHEDULE
        ),
    ] = "best",
    settle_frames: Annotated[
        int,
        typer.Option(
            help="Frames over which BatchNorm statistics are taken anew for validation and model; 0: as trained.",
            rich_help_panel=SCHEDULE,
        ),
    ] = 256,
    settle_over: Annotated[
        Literal["learned", "all"],
        typer.Option(
            help="Take these from the frames learned from, or from --unlabeled whatever the method.",
            rich_help_panel=SCHEDULE,
        ),
    ] = "learned",
    settle_every: Annotated[
        int,
        typer.Option(
            help="Steps between which they are taken anew for the teachers too; 0: as trained.",
            rich_help_panel=SCHEDULE,
        ),
    ] = 25,
    checkpoint_every: Annotated[
        int, typer.Option(help="Steps between checkpoints besides.", rich_help_panel=SCHEDULE)
    ] = 200,
    batch_size: Annotated[int, typer.Option(help="Labelled frames in a batch.", rich_help_panel=SCHEDULE)] = 24,
    unlabeled_batch_size: Annotated[
        int | None, typer.Option(help="Unlabelled frames in a batch (default: as many).", rich_help_panel=SCHEDULE)
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="At the start of the cosine.", rich_help_panel=SCHEDULE)] = 1e-4,
    final_learning_rate: Annotated[float, typer.Option(help="At its end.", rich_help_panel=SCHEDULE)] = 1e-5,
    dice_weight: Annotated[
        float, typer.Option(help="Weight of a soft Dice loss; 0 is the paper's.", rich_help_panel=SCHEDULE)
    ] = 1.0,
    dice_over: Annotated[
        Literal["batch", "frame"],
        typer.Option(help="Take it over the batch, or over each frame with a lesion.", rich_help_panel=SCHEDULE),
    ] = "batch",
    empty_share: Annotated[
        float | None,
        typer.Option(help="Share of each batch without a lesion (default: as they come).", rich_help_panel=SCHEDULE),
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(help="Keep networks averaged over the steps, with this decay: 0.998.", rich_help_panel=SCHEDULE),
    ] = None,
    views: Annotated[
        Literal["paper", "wide"],
        typer.Option(
            help="Views of labelled frames: the paper's, or wide ones for other hospitals.", rich_help_panel=SCHEDULE
        ),
    ] = "paper",
    color_jitter: Annotated[
        float, typer.Option(help="Share of labelled frames that change colour.", rich_help_panel=SCHEDULE)
    ] = 0.0,
    corrective: Annotated[
        bool, typer.Option(help="Then train the network that repairs predictions in video.", rich_help_panel=SCHEDULE)
    ] = True,
    corrective_steps: Annotated[
        int | None,
        typer.Option(help="Steps of that (default: as many as before, at most 1000).", rich_help_panel=SCHEDULE),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random draw.", rich_help_panel=SCHEDULE)] = 0,
    workers: Annotated[int, typer.Option(help="Processes that read frames.", rich_help_panel=SCHEDULE)] = 0,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option(help="Type that convolutions compute in; auto: bf16 where it is fast.", rich_help_panel=SCHEDULE),
    ] = "fp32",
    device: Annotated[
        str, typer.Option(autocompletion=complete_device, help="auto, cpu, cuda, cuda:n or mps.", rich_help_panel=RUN)
    ] = "auto",
    tensorboard: Annotated[
        bool, typer.Option(help="Write TensorBoard's event files too.", rich_help_panel=RUN)
    ] = False,
) -> None:
    """Train two U-Nets that teach each other on frames without masks; write RUN/model.safetensors for `segment`.

    Example: endoseg train --labeled frames --unlabeled videos --val-fraction 0.2 --out runs/first

    Several GPUs, or processes: torchrun --nproc-per-node 2 -m endoseg_cli train ...
    """
    from endoseg_cli.cli.console.training import TrainConsole
    from endoseg_cli.training.run import RunOptions, resume_training, run_training

    given = given_options(context)
    leads = os.environ.get("RANK", "0") == "0"
    options = RunOptions(device=device, tensorboard=tensorboard)
    if resume is not None:
        check_alone(given, WITH_RESUME)
        with TrainConsole(resume, quiet=not leads) as console:
            path = resume_training(
                resume,
                places={name: given[name] for name in PLACES if name in given},
                longer={name: value for name, value in _training(given).items() if name in LONGER},
                options=options,
                listener=console.listener,
            )
    else:
        if out is None:
            raise UsageError("expected --out RUN or --resume RUN, found neither", hint="such as --out runs/first")
        sources, settings = _configs(given)
        with TrainConsole(out, quiet=not leads) as console:
            path = run_training(sources, settings, out, options=options, listener=console.listener)
    if leads:
        typer.echo(path)


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
    data = {**file["data"], **{name: given[name] for name in DATA_SETTINGS if name in given}}
    return build_config(SourcesConfig, data, "data."), build_config(TrainConfig, training, "training.")


def _of_the_model(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a model to start from decides unless they are given: architecture, size, view."""
    if "weights" not in given:
        return {}
    from endoseg_cli.networks.files.bundle import load_card
    from endoseg_cli.networks.files.models import resolve_weights

    card = load_card(resolve_weights(given["weights"]))
    return {
        "encoder": card.architecture.encoder,
        "decoder_channels": card.architecture.decoder_channels,
        "size": card.input_size,
        "field_of_view": card.field_of_view,
    }


def _training(given: dict[str, Any]) -> dict[str, Any]:
    from endoseg_cli.networks.files.models import resolve_weights

    own = ("weights", "views", "color_jitter", *NOT_SETTINGS, *(name for name in DATA_SETTINGS if name != "seed"))
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
