"""`endoseg import-weights`: the authors' checkpoints as a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endoseg_cli.cli.console.say import print_path, say
from endoseg_cli.errors import OutputError, UsageError


def import_weights(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            metavar="NET1 [NET2]", help="State dicts (.pth), or one training checkpoint with both networks."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The model file to write (.safetensors).")],
    size: Annotated[int, typer.Option("--size", help="Side of the square frames that the networks were trained on.")],
    name: Annotated[str | None, typer.Option("--name", help="Name of the model (default: that of the file).")] = None,
    licence: Annotated[str | None, typer.Option("--licence", help="Terms of the weights, for the model card.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Store float16: half the size.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
) -> None:
    """Turn checkpoints of Endo-SemiS's authors into a model file for segment, evaluate and train.

    Takes U-Nets with a resnet18, resnet34 or resnet50 encoder. Runs no code from the checkpoints.

    Example: endoseg import-weights net1.pth net2.pth --size 256 --out model.safetensors
    """
    from endoseg_cli.networks.files.authors_checkpoint import import_checkpoints
    from endoseg_cli.networks.files.bundle import save_bundle

    if out.suffix != ".safetensors":
        raise UsageError(f"--out must end in .safetensors, found {out}")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already", hint="add --overwrite, or choose another name")
    bundle = import_checkpoints(checkpoints, side=size, name=name or out.stem, licence=licence)
    save_bundle(bundle, out, half=half)
    config = bundle.card.architecture
    say(f"{len(bundle.networks)} networks, {config.encoder}, {config.classes} class(es), {size}x{size}")
    print_path(out)
