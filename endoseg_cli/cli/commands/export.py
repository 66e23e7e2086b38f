"""`endoseg export`: a model for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from endoseg_cli.cli.console.say import print_path, say
from endoseg_cli.cli.options.shared import weights_option
from endoseg_cli.errors import OutputError, UsageError


def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write (.onnx; .pt for TorchScript).")],
    kind: Annotated[
        Literal["onnx", "torchscript"], typer.Option("--format", help="ONNX needs the extra endoseg-cli[onnx].")
    ] = "onnx",
    weights: Annotated[str | None, weights_option()] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
) -> None:
    """Write a model for ONNX Runtime, TensorRT, OpenVINO, libtorch and the like; run it; compare it with the original.

    The file takes `image`, float32 (N, 3, H, W), RGB from 0 to 255 at the model's input size, N of any size, and gives
    `probability`, (N, C, H, W): normalisation, all networks, sigmoid and mean are inside, the model card is attached.
    Frames have to be cropped to the endoscope's picture by the caller where the card says `field_of_view: auto`.

    Example: endoseg export --format onnx --out polyp-lite.onnx
    """
    from endoseg_cli.networks.files.bundle import load_bundle
    from endoseg_cli.networks.files.export import SUFFIXES, export_model
    from endoseg_cli.networks.files.export_formats import describe
    from endoseg_cli.networks.files.models import resolve_weights

    if out.suffix != SUFFIXES[kind]:
        raise UsageError(f"--out must end in {SUFFIXES[kind]} for --format {kind}, found {out}")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already", hint="add --overwrite, or choose another name")
    bundle = load_bundle(resolve_weights(weights))
    exported = export_model(bundle, out, kind)
    say(describe(bundle.card))
    say(f"ran it on {exported.pictures} pictures: largest difference {exported.largest_difference:.1e}")
    print_path(out)
