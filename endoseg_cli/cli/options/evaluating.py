"""The options of `endoseg evaluate` in groups: the frames, clips over time, the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from endoseg_cli.errors import UsageError

VIDEO = "Over time"


@dataclass(frozen=True, kw_only=True)
class ScoredOptions:
    """The frames that are scored."""

    labeled: Annotated[
        Path | None,
        typer.Option(
            "--labeled",
            metavar="PATH",
            help="Folder of images and masks or LabelMe files, or COCO file, to score the model on.",
        ),
    ] = None
    split: Annotated[
        Path | None, typer.Option("--split", metavar="FILE", help="Split file (JSON) whose val list is scored instead.")
    ] = None
    root: Annotated[
        Path | None, typer.Option("--root", help="Where the split file's names are looked up (default: its folder).")
    ] = None
    outside_root: Annotated[
        bool, typer.Option("--outside-root", help="Image and mask paths in the split file may lead out of --root.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class VideoPaths:
    """What is scored over time."""

    video: Annotated[
        list[Path] | None,
        typer.Option(
            "--video",
            metavar="PATH",
            help="Video or folder of videos or frames to score over time, with masks (VIDEO_masks/) or without.",
            rich_help_panel=VIDEO,
        ),
    ] = None
    stills: Annotated[
        list[Path] | None,
        typer.Option(
            "--stills",
            metavar="PATH",
            help="Frames with masks, like --labeled; a camera moves over each, which makes clips with truth.",
            rich_help_panel=VIDEO,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """What belongs to --video and --stills alone."""

    still_clips: Annotated[
        int | None,
        typer.Option(
            "--still-clips", help="How many such clips, one second each (default: 40).", rich_help_panel=VIDEO
        ),
    ] = None
    refine: Annotated[
        Literal["auto", "flagged", "all", "off"] | None,
        typer.Option("--refine", help="Only this refinement (default: flagged and all).", rich_help_panel=VIDEO),
    ] = None
    causal: Annotated[bool, typer.Option("--causal", help="Refine by past frames only.", rich_help_panel=VIDEO)] = False
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Score simple means over time as well.", rich_help_panel=VIDEO)
    ] = False
    spoil: Annotated[
        int | None,
        typer.Option(
            "--spoil",
            metavar="SEED",
            help="Empty some frames and invent lesions in others first.",
            rich_help_panel=VIDEO,
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.spoil is not None and self.spoil < 0:
            raise UsageError(f"--spoil must be 0 or more, found {self.spoil}")
        if self.still_clips is not None and self.still_clips < 1:
            raise UsageError(f"--still-clips must be at least 1, found {self.still_clips}")

    def refuse_without_video(self) -> None:
        """Raise UsageError if any of them is given."""
        options = {"--refine": self.refine, "--causal": self.causal, "--baselines": self.baselines}
        given = [option for option, value in options.items() if value]
        given += ["--spoil"] if self.spoil is not None else []
        if given:
            raise UsageError(
                f"{' and '.join(given)} belongs to --video or --stills, found neither", hint="add --video PATH"
            )


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What is told of the scores, and where."""

    size_bounds: Annotated[
        tuple[float, float],
        typer.Option("--size-bounds", help="Shares of the frame between small, medium and large lesions."),
    ] = (0.02, 0.10)
    batch_size: Annotated[int, typer.Option("--batch-size", help="Frames read and predicted together.")] = 4
    runtime: Annotated[
        Literal["torch", "openvino", "onnx"],
        typer.Option("--runtime", help="What runs the networks, in fp32; as segment's."),
    ] = "torch"
    per_frame: Annotated[
        Path | None, typer.Option("--per-frame", metavar="FILE.csv", help="Write one row of scores per frame.")
    ] = None
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE.html",
            help="Write tables, plots, best and worst frames as one page; of --video a page of the one video, with"
            " player and timeline (of several, into a folder).",
        ),
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name the model's file and the frames by their whole paths.")
    ] = False
