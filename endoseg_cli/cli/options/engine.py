"""The options of `endoseg segment` that say what does the work: this machine, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from endoseg_cli.cli.options.sharing import SHARING, in_torchrun
from endoseg_cli.errors import UsageError

if TYPE_CHECKING:
    from endoseg_cli.inference.cluster.ray_engine import RayOptions
    from endoseg_cli.inference.write.output_paths import OutputConfig


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What does the work, and what a video takes of it."""

    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            "--engine",
            help="Do the videos on this machine, or each as a task of a Ray cluster. With ray, inputs and outputs may"
            " also be s3:// and gs://, inputs https://, and what an earlier run finished is left as it is.",
            rich_help_panel=SHARING,
        ),
    ] = "local"
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="auto|HOST:PORT|ray://HOST:PORT",
            help="The Ray cluster (default: auto, the one that this machine belongs to).",
            rich_help_panel=SHARING,
        ),
    ] = None
    retries: Annotated[
        int | None,
        typer.Option(
            "--retries",
            min=0,
            help="How often Ray begins a video anew whose worker or machine died (default: 3).",
            rich_help_panel=SHARING,
        ),
    ] = None
    cpus_per_video: Annotated[
        float | None,
        typer.Option("--cpus-per-video", help="Cores that Ray gives a video (default: 1).", rich_help_panel=SHARING),
    ] = None
    gpus_per_video: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-video",
            help="GPUs, or the share of one, that Ray gives a video (default: 1 where the cluster has some).",
            rich_help_panel=SHARING,
        ),
    ] = None

    @property
    def is_ray(self) -> bool:
        """Whether a Ray cluster does the work; raises UsageError for options that belong to it and would do nothing."""
        given = {
            "--address": self.address,
            "--retries": self.retries,
            "--cpus-per-video": self.cpus_per_video,
            "--gpus-per-video": self.gpus_per_video,
        }
        for option, value in given.items():
            if value is not None and self.engine != "ray":
                raise UsageError(f"{option} belongs to --engine ray", hint="add --engine ray, or leave it out")
        if self.engine == "ray" and in_torchrun():
            raise UsageError("--engine ray: torchrun has processes of its own", hint="start endoseg without torchrun")
        return self.engine == "ray"

    def check_inputs(self, inputs: Sequence[str], *, sequences: bool) -> None:
        """Raise MissingInputError for a mistyped name; addresses are looked up later."""
        from endoseg_cli.inference.inputs.addresses import is_address
        from endoseg_cli.inference.inputs.sources import find_sources

        here = [text for text in inputs if not (self.engine == "ray" and (is_address(text) or "://" in text))]
        if here:
            find_sources(here, sequences=sequences)

    def outputs(self, outputs: OutputConfig) -> OutputConfig:
        """Return what to write, file:// as its path; raises UsageError for addresses that take no outputs."""
        from endoseg_cli.inference.inputs.addresses import plain_output

        return outputs.moved(plain_output) if self.is_ray else outputs.here()

    def ray(self) -> RayOptions:
        """Return which cluster, and what a video takes of it; raises UsageError for what no machine can give."""
        from endoseg_cli.inference.cluster.ray_engine import RayOptions

        cpus = 1.0 if self.cpus_per_video is None else self.cpus_per_video
        for option, value in (("--cpus-per-video", cpus), ("--gpus-per-video", self.gpus_per_video or 0)):
            if not 0 <= value <= 1024 or (value > 1 and value != int(value)) or cpus == 0:
                raise UsageError(f"{option} must be a whole number, or a share between 0 and 1, found {value:g}")
        return RayOptions(
            address=self.address or "auto",
            retries=3 if self.retries is None else self.retries,
            cpus=cpus,
            gpus=self.gpus_per_video,
        )
