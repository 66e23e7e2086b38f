"""`endoseg train`: a model from frames and masks."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from endoseg_cli.cli.console import print_warning
from endoseg_cli.cli.phantom import parse_size
from endoseg_cli.errors import UsageError

if TYPE_CHECKING:
    from endoseg_cli.training.trainer import StepRecord, ValidationRecord

DATA, NETWORK, SCHEDULE = "Data", "Network", "Schedule"
STEP_LINE_SECONDS = 10.0
"""How often a step is told on stderr."""


def train(
    labeled: Annotated[
        list[Path],
        typer.Option(
            "--labeled",
            help="Folder of images and masks or LabelMe files, or COCO file. May be given more than once.",
            rich_help_panel=DATA,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder.", rich_help_panel=DATA)],
    val: Annotated[
        Path | None,
        typer.Option("--val", help="Labelled frames to validate on, given like --labeled.", rich_help_panel=DATA),
    ] = None,
    val_fraction: Annotated[
        float | None,
        typer.Option(
            "--val-fraction", help="Validate on this share of the labelled frames, by folder.", rich_help_panel=DATA
        ),
    ] = None,
    encoder: Annotated[
        Literal["resnet18", "resnet34", "resnet50", "mobilenet_v2"],
        typer.Option("--encoder", help="Encoder of both U-Nets.", rich_help_panel=NETWORK),
    ] = "resnet34",
    encoder_weights: Annotated[
        str,
        typer.Option(
            "--encoder-weights", help="What the encoders start from: a state dict, or none.", rich_help_panel=NETWORK
        ),
    ] = "none",
    decoder_channels: Annotated[
        str,
        typer.Option("--decoder-channels", help="Width of the five decoder blocks.", rich_help_panel=NETWORK),
    ] = "256,128,64,32,16",
    size: Annotated[
        str, typer.Option("--size", metavar="WxH", help="Size of the network's input.", rich_help_panel=NETWORK)
    ] = "256",
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="Model to start from, of the same architecture.", rich_help_panel=NETWORK),
    ] = None,
    epochs: Annotated[
        int, typer.Option("--epochs", help="Passes over the labelled frames.", rich_help_panel=SCHEDULE)
    ] = 100,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", help="Steps to train, in place of epochs.", rich_help_panel=SCHEDULE)
    ] = None,
    validate_every: Annotated[
        int | None,
        typer.Option(
            "--validate-every", help="Steps between validations (default: once per epoch).", rich_help_panel=SCHEDULE
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", help="Labelled frames in a batch.", rich_help_panel=SCHEDULE)
    ] = 24,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", help="At the start of the cosine.", rich_help_panel=SCHEDULE)
    ] = 1e-4,
    final_learning_rate: Annotated[
        float, typer.Option("--final-learning-rate", help="At its end.", rich_help_panel=SCHEDULE)
    ] = 1e-5,
    dice_weight: Annotated[
        float, typer.Option("--dice-weight", help="Weight of a soft Dice loss.", rich_help_panel=SCHEDULE)
    ] = 0.0,
    colour_jitter: Annotated[
        float,
        typer.Option("--color-jitter", help="Share of labelled frames that change colour.", rich_help_panel=SCHEDULE),
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of every random draw.", rich_help_panel=SCHEDULE)] = 0,
    workers: Annotated[
        int, typer.Option("--workers", help="Processes that read frames.", rich_help_panel=SCHEDULE)
    ] = 0,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda, cuda:n or mps.", rich_help_panel=SCHEDULE)
    ] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out where it stopped.", rich_help_panel=SCHEDULE)
    ] = False,
) -> None:
    """Train two U-Nets on frames with masks, and write RUN/model.safetensors, which `endoseg segment` takes.

    Example: endoseg train --labeled frames --val-fraction 0.2 --out runs/first
    """
    from endoseg_cli.data.augment_config import AugmentConfig, ColourJitterConfig
    from endoseg_cli.data.sources import SourcesConfig
    from endoseg_cli.training.config import TrainConfig
    from endoseg_cli.training.run import RunListener, run_training

    sources = SourcesConfig(labeled=tuple(labeled), val=val, val_fraction=val_fraction, seed=seed)
    config = TrainConfig(
        encoder=encoder,
        encoder_weights=encoder_weights,
        decoder_channels=_parse_widths(decoder_channels),
        size=parse_size(size),
        start_from=None if weights is None else str(weights),
        epochs=epochs,
        max_steps=max_steps,
        validate_every=validate_every,
        batch_size=batch_size,
        learning_rate=learning_rate,
        final_learning_rate=final_learning_rate,
        dice_weight=dice_weight,
        seed=seed,
        workers=workers,
        augment=AugmentConfig(colour_jitter=ColourJitterConfig(probability=colour_jitter)),
    )
    told = _Lines()
    listener = RunListener(on_warning=print_warning, on_step=told.step, on_validation=told.validation)
    typer.echo(run_training(sources, config, out, device=device, resume=resume, listener=listener))


class _Lines:
    """Tells a run on stderr, a line at a time."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def step(self, record: StepRecord, total: int) -> None:
        """Tell a step, every few seconds."""
        if time.monotonic() - self._told < STEP_LINE_SECONDS:
            return
        self._told = time.monotonic()
        terms = ", ".join(f"{name} {value:.3f}" for name, value in record.terms.items())
        typer.echo(f"step {record.step} of {total}: {terms}", err=True)

    def validation(self, record: ValidationRecord) -> None:
        """Tell a validation."""
        scores = "; ".join(
            f"network {number}: Dice {_percent(found.dice)}, on lesions {_percent(found.lesion_dice)},"
            f" empty frames kept empty {_percent(found.kept_empty)}{' (best)' if best else ''}"
            for number, (found, best) in enumerate(zip(record.scores, record.improved, strict=True), start=1)
        )
        typer.echo(f"step {record.step}, {record.seconds:.0f} s: {scores}", err=True)


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def _parse_widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"--decoder-channels must be five numbers with commas, found {text}", hint="such as 256,128,64,32,16"
        ) from error
