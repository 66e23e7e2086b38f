"""`endoseg info`: what a model file is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from endoseg_cli.cli.console.say import safe_lines
from endoseg_cli.cli.options.completion import complete_weights
from endoseg_cli.process import starting


def info(
    weights: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|NAME]",
            autocompletion=complete_weights,
            help="Model file or name (default: the bundled model).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    device: Annotated[
        bool, typer.Option("--device", help="Say what of this machine would run the networks, and what was measured.")
    ] = False,
) -> None:
    """Check a model file and print what it is: architecture, input, classes, training data, licence, scores.

    Example: endoseg info runs/first/model.safetensors
    """
    with starting():
        facts = _model_facts(weights)
        if device:
            facts = _device_facts()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        _print_table(facts)


def _model_facts(weights: str | None) -> dict[str, Any]:
    from endoseg_cli.networks.files.bundle import card_facts, load_bundle
    from endoseg_cli.networks.files.models import resolve_weights

    path = resolve_weights(weights)
    bundle = load_bundle(path)
    parameters = sum(parameter.numel() for network in bundle.networks for parameter in network.parameters())
    return {"file": str(path), "bytes": path.stat().st_size, "parameters": parameters, **card_facts(bundle.card)}


def _device_facts() -> dict[str, Any]:
    import torch

    from endoseg_cli.networks.files.runtimes import choose_runtime, packages
    from endoseg_cli.networks.files.speed_probe import probe_file, read_probes
    from endoseg_cli.networks.running.device import computes_bf16, resolve_device

    device = resolve_device("auto")
    return {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "cpu_computes_bf16": computes_bf16(),
        "runtime_auto": choose_runtime("auto", device),
        "packages": packages(),
        "speeds_file": str(probe_file()),
        "milliseconds_a_batch": read_probes(),
    }


def _print_table(facts: dict[str, Any]) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), Text(safe_lines(_readable(value))))
    Console(soft_wrap=False).print(table)


def _readable(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key.replace('_', ' ')}: {_readable(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(Path(value)) if isinstance(value, Path) else str(value)
