"""`endoseg benchmark`: how fast this machine does what endoseg does."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from endoseg_cli.cli.commands.phantom import parse_size
from endoseg_cli.cli.options.completion import complete_device
from endoseg_cli.networks.architecture.encoder_names import EncoderName

benchmark = typer.Typer(help="Measure how fast this machine is.", no_args_is_help=True)


@benchmark.callback()
def _group() -> None:
    pass


@benchmark.command("train")
def benchmark_training(
    encoder: Annotated[EncoderName, typer.Option(help="Encoder of the network.")] = "resnet34",
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the frames.")] = "256",
    batch_size: Annotated[int, typer.Option(help="Labelled frames, and as many unlabelled ones.")] = 4,
    num_passes: Annotated[int, typer.Option(help="Stochastic passes of a teacher.")] = 5,
    repeats: Annotated[int, typer.Option(help="Batches that are timed.")] = 5,
    device: Annotated[
        str, typer.Option(autocompletion=complete_device, help="auto, cpu, cuda, cuda:n or mps.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time the no-gradient part of a training step: as whole forward passes, and as endoseg arranges it.

    Example: endoseg benchmark train --encoder resnet34 --size 256 --batch-size 4
    """
    from endoseg_cli.training.engine.benchmark import TrainBenchmarkConfig, benchmark_train

    config = TrainBenchmarkConfig(
        encoder=encoder,
        size=parse_size(size),
        batch_size=batch_size,
        num_passes=num_passes,
        repeats=repeats,
        device=device,
    )
    found = benchmark_train(config)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
        return
    typer.echo(f"plain  {found.plain_seconds:8.3f} s  a network and step (median)")
    typer.echo(f"fast   {found.fast_seconds:8.3f} s")
    typer.echo(f"ratio  {found.ratio:8.3f}    {100 * found.boxed:.0f} % of the frames had a CutMix box")
    typer.echo(f"largest difference of a probability: {found.largest_difference:.1e}")
