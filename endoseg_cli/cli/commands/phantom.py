"""`endoseg phantom`: rendered endoscopy with known truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn, Progress

from endoseg_cli.cli.console.bar import passing_bar
from endoseg_cli.cli.console.say import print_path
from endoseg_cli.errors import UsageError

_SIZE = re.compile(r"(\d+)(?:x(\d+))?")


def phantom(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    scene: Annotated[
        str, typer.Option("--scene", help="colon (polyps) or ureter (stones, laser fibre, debris).")
    ] = "colon",
    stills: Annotated[int, typer.Option("--stills", help="Number of stills with a mask each.")] = 0,
    clips: Annotated[int, typer.Option("--clips", help="Number of clips with a mask for every frame.")] = 0,
    seconds: Annotated[float, typer.Option("--seconds", help="Length of each clip.")] = 6.0,
    frames_per_second: Annotated[float, typer.Option("--fps", help="Frames per second of the clips.")] = 25.0,
    size: Annotated[str, typer.Option("--size", metavar="WxH", help="Size in pixels; one number is a square.")] = "256",
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same pictures.")] = 0,
    lesion_fraction: Annotated[
        tuple[float, float],
        typer.Option(
            "--lesion-fraction",
            metavar="MIN MAX",
            help="Share of the frame that lesions cover, in clips when the camera is nearest.",
        ),
    ] = (0.02, 0.25),
    empty_fraction: Annotated[
        float, typer.Option("--empty-fraction", help="Share of the stills, and of each clip, without a lesion.")
    ] = 0.2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a phantom that OUT holds already.")] = False,
) -> None:
    """Render labelled endoscopy: OUT/images, OUT/masks, OUT/clips and OUT/phantom.json, which says what they show.

    Example: endoseg phantom phantom-colon --stills 100 --clips 2
    """
    from endoseg_cli.phantom.dataset import render_phantom
    from endoseg_cli.phantom.world.config import ClipConfig, PhantomConfig

    config = PhantomConfig(
        scene=scene,
        size=parse_size(size),
        seed=seed,
        lesion_fraction=lesion_fraction,
        empty_fraction=empty_fraction,
    )
    clip = ClipConfig(seconds=seconds, frames_per_second=frames_per_second)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with passing_bar(*columns) as progress:
        task = progress.add_task("rendering", total=None)
        paths = render_phantom(
            out,
            config,
            clip,
            stills=stills,
            clips=clips,
            overwrite=overwrite,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    for path in paths:
        print_path(path)


def parse_size(text: str) -> tuple[int, int]:
    """Read `WIDTHxHEIGHT`, or one number for a square, as (height, width); raises UsageError for anything else."""
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None:
        raise UsageError(
            f"--size must be WIDTHxHEIGHT or one number, found {text!r}", hint="for example --size 384x320"
        )
    width, height = match.groups()
    return int(height or width), int(width)
