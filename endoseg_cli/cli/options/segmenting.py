"""The options of `endoseg segment` in groups: what to write, the model, which frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from endoseg_cli.annotations.writing.names import AnnotationFormat
from endoseg_cli.cli.options.privacy import PrivacyOptions
from endoseg_cli.cli.options.shared import MODEL, ModelOptions
from endoseg_cli.cli.options.words import parse_clock
from endoseg_cli.errors import UsageError

if TYPE_CHECKING:
    from endoseg_cli.annotations.writing.formats import AnnotationConfig
    from endoseg_cli.inference.pipeline import SegmentConfig
    from endoseg_cli.inference.write.output_paths import OutputConfig
    from endoseg_cli.inference.write.overlay import OverlayConfig

PRODUCTS, FRAMES = "What to write", "Which frames"


@dataclass(frozen=True, kw_only=True)
class ProductOptions:
    """What to write, and where."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Mask video (.mp4, .mov; .mkv is lossless) or mask PNG of one input; else a folder.",
            rich_help_panel=PRODUCTS,
        ),
    ] = None
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay", help="Input with lesions tinted and outlined; else a folder.", rich_help_panel=PRODUCTS
        ),
    ] = None
    masks_dir: Annotated[
        Path | None,
        typer.Option("--masks-dir", help="Folder for one mask PNG (0 and 255) per frame.", rich_help_panel=PRODUCTS),
    ] = None
    probabilities: Annotated[
        Path | None,
        typer.Option(
            "--probabilities", help="Folder for one 16-bit PNG per frame; 65535 is 1.", rich_help_panel=PRODUCTS
        ),
    ] = None
    records: Annotated[
        Path | None,
        typer.Option("--records", help="Table of all frames, .csv or .json.", rich_help_panel=PRODUCTS),
    ] = None
    annotations: Annotated[
        Path | None,
        typer.Option(
            "--annotations",
            help="Outlines and scores for annotation tools: a file, or a folder for labelme and yolo.",
            rich_help_panel=PRODUCTS,
        ),
    ] = None
    annotation_format: Annotated[
        AnnotationFormat | None,
        typer.Option(
            "--annotation-format", help="For which tool (.json is coco, .xml cvat).", rich_help_panel=PRODUCTS
        ),
    ] = None
    frames_dir: Annotated[
        Path | None,
        typer.Option(
            "--frames-dir",
            help="Folder for the frames themselves, named as in the annotations: PNG of videos, copies of pictures"
            " (without EXIF).",
            rich_help_panel=PRODUCTS,
        ),
    ] = None
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE.html",
            help="Page of the one video, to look at in a browser: overlay, timeline, appearances; else a folder.",
            rich_help_panel=PRODUCTS,
        ),
    ] = None
    overlay_strength: Annotated[
        float | None,
        typer.Option(
            "--overlay-strength", help="Opacity of the tint, 0 to 1 (default: 0.3).", rich_help_panel=PRODUCTS
        ),
    ] = None
    overlay_color: Annotated[
        str | None,
        typer.Option("--overlay-color", help="Colour name or #rrggbb (default: green).", rich_help_panel=PRODUCTS),
    ] = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.", rich_help_panel=PRODUCTS)
    ] = False

    def outputs(self, privacy: PrivacyOptions) -> OutputConfig:
        """Return which files are asked for; raises UsageError where none of them shows what is to be left out."""
        from endoseg_cli.inference.write.output_paths import OutputConfig

        shown = any(path is not None for path in (self.overlay, self.report, self.frames_dir))
        if privacy.redact and not shown:
            raise UsageError(
                "--redact is for pictures of frames, and only masks or tables are asked for",
                hint="leave it out, or add --overlay, --report or --frames-dir",
            )
        if privacy.keep_metadata and not shown and self.out is None:
            raise UsageError(
                "--keep-metadata is for videos and copied pictures, and neither is asked for",
                hint="leave it out, or add --out, --overlay, --report or --frames-dir",
            )

        return OutputConfig(
            masks=self.out,
            overlay=self.overlay,
            mask_pictures=self.masks_dir,
            probabilities=self.probabilities,
            records=self.records,
            annotations=self._annotations(),
            frames=self.frames_dir,
            report=self.report,
            overwrite=self.overwrite,
        )

    def style(self) -> OverlayConfig:
        """Return how overlays look; raises UsageError where there are none."""
        from endoseg_cli.inference.write.overlay import NAMED_COLOURS, OverlayConfig, parse_colour

        strength, colour = self.overlay_strength, self.overlay_color
        for option, value in (("--overlay-strength", strength), ("--overlay-color", colour)):
            if value is not None and self.overlay is None and self.report is None:
                raise UsageError(f"{option} belongs to --overlay or --report, found neither", hint="add --overlay FILE")
        first = parse_colour(colour or "green")
        others = tuple(other for other in NAMED_COLOURS.values() if other != first)
        return OverlayConfig(strength=0.3 if strength is None else strength, colours=(first, *others))

    def _annotations(self) -> AnnotationConfig | None:
        from endoseg_cli.annotations.writing.formats import AnnotationConfig, parse_format

        path, name = self.annotations, self.annotation_format
        if path is None:
            if name is not None:
                raise UsageError("--annotation-format belongs to --annotations, which is not given")
            return None
        return AnnotationConfig(path=path, format=parse_format(name, path), overwrite=self.overwrite)


@dataclass(frozen=True, kw_only=True)
class SegmentModelOptions(ModelOptions):
    """The model as `segment` uses it."""

    min_area: Annotated[
        int, typer.Option("--min-area", help="Drop regions of fewer pixels.", rich_help_panel=MODEL)
    ] = 0
    field_of_view: Annotated[
        str | None,
        typer.Option(
            "--field-of-view",
            metavar="auto|off|X,Y,W,H",
            help="Find the endoscope's picture and look there alone, look at whole frames, or in a box of pixels"
            " (default: as the model was trained).",
            rich_help_panel=MODEL,
        ),
    ] = None
    batch_size: Annotated[
        str, typer.Option("--batch-size", help="Frames predicted together, or auto.", rich_help_panel=MODEL)
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option(
            "--precision", help="auto is fp16 on CUDA, the faster of fp32 and bf16 on a CPU.", rich_help_panel=MODEL
        ),
    ] = "auto"

    runtime: Annotated[
        Literal["auto", "torch", "openvino", "onnx"],
        typer.Option(
            "--runtime",
            help="What runs the networks. auto is openvino where it is installed and the CPU computes in bf16, else"
            " torch in the faster precision.",
            rich_help_panel=MODEL,
        ),
    ] = "auto"

    def frames_together(self) -> int | None:
        """Return the batch size, None for auto."""
        text = self.batch_size
        if text == "auto":
            return None
        if not text.isdecimal() or int(text) < 1:
            raise UsageError(f"--batch-size must be auto or a number from 1 on, found {text}")
        return int(text)


@dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """Which frames, and whether the frames around correct them."""

    refine: Annotated[
        Literal["auto", "flagged", "all", "off"],
        typer.Option(
            "--refine",
            help="Correct video masks by the frames around: where one comes or goes for less than 0.2 s, all, or none."
            " all may lose on footage that nothing is wrong with. auto is flagged with a model that can, else off.",
            rich_help_panel=FRAMES,
        ),
    ] = "auto"
    causal: Annotated[
        bool, typer.Option("--causal", help="Refine by past frames only, as live use must.", rich_help_panel=FRAMES)
    ] = False
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="TIME", help="Where to start: seconds, or mm:ss.", rich_help_panel=FRAMES),
    ] = None
    end: Annotated[
        str | None,
        typer.Option("--end", metavar="TIME", help="Where to stop before: seconds, or mm:ss.", rich_help_panel=FRAMES),
    ] = None
    fps: Annotated[
        float | None,
        typer.Option(
            "--fps",
            help="The pictures of a folder, in the order of their names, are a video of so many frames per second:"
            " masks become a video, and refinement looks at the frames around.",
            rich_help_panel=FRAMES,
        ),
    ] = None
    every: Annotated[
        int,
        typer.Option(
            "--every",
            help="Predict every N-th frame. Videos keep all frames and repeat the last mask; pictures and records"
            " hold the predicted ones.",
            rich_help_panel=FRAMES,
        ),
    ] = 1

    def span(self) -> tuple[float | None, float | None]:
        """Return --start and --end in seconds."""
        return parse_clock("--start", self.start), parse_clock("--end", self.end)


def segment_config(
    model: SegmentModelOptions,
    frames: FrameOptions,
    privacy: PrivacyOptions | None = None,
    *,
    overwrite: bool,
    whole_paths: bool = False,
) -> SegmentConfig:
    """Return how videos and pictures are segmented, all ranges checked."""
    from endoseg_cli.inference.inputs.views import parse_view
    from endoseg_cli.inference.pipeline import SegmentConfig
    from endoseg_cli.inference.predict.masks import MaskConfig
    from endoseg_cli.inference.refine.refiner import RefineConfig

    start, end = frames.span()
    view, privacy = model.field_of_view, privacy or PrivacyOptions()
    return SegmentConfig(
        mask=MaskConfig(threshold=model.threshold, min_area=model.min_area),
        refine=RefineConfig(choice=frames.refine, causal=frames.causal),
        start=start,
        end=end,
        fps=frames.fps,
        every=frames.every,
        field_of_view=None if view is None else parse_view(view),
        redact=privacy.redaction(),
        keep_metadata=privacy.keep_metadata,
        whole_paths=whole_paths,
        overwrite=overwrite,
    )
