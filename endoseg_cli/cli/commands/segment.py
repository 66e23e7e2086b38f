"""`endoseg segment`: masks, overlays and tables of videos and pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from endoseg_cli.cli.console.lines import SegmentConsole
from endoseg_cli.cli.options.completion import complete_device, complete_weights
from endoseg_cli.cli.options.words import parse_clock
from endoseg_cli.errors import DAMAGED_EXIT_CODE, UsageError

if TYPE_CHECKING:
    from endoseg_cli.annotations.writing.formats import AnnotationConfig
    from endoseg_cli.inference.predict.predictor import NetworkChoice, Predictor, TestTimeAugmentation
    from endoseg_cli.inference.write.output_paths import OutputConfig
    from endoseg_cli.inference.write.overlay import OverlayConfig
    from endoseg_cli.networks.running.device import Precision
    from endoseg_cli.networks.runtimes import RuntimeChoice

PRODUCTS, MODEL, FRAMES = "What to write", "The model", "Which frames"


def segment(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Videos, pictures, folders of either, or globs.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Mask video (.mp4, .mov; .mkv is lossless) or mask PNG of one input; else a folder.",
            rich_help_panel=PRODUCTS,
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay", help="Input with lesions tinted and outlined; else a folder.", rich_help_panel=PRODUCTS
        ),
    ] = None,
    masks_dir: Annotated[
        Path | None,
        typer.Option("--masks-dir", help="Folder for one mask PNG (0 and 255) per frame.", rich_help_panel=PRODUCTS),
    ] = None,
    probabilities: Annotated[
        Path | None,
        typer.Option(
            "--probabilities", help="Folder for one 16-bit PNG per frame; 65535 is 1.", rich_help_panel=PRODUCTS
        ),
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option("--records", help="Table of all frames, .csv or .json.", rich_help_panel=PRODUCTS),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(
            "--annotations",
            help="Outlines and scores for annotation tools: a file, or a folder for labelme and yolo.",
            rich_help_panel=PRODUCTS,
        ),
    ] = None,
    annotation_format: Annotated[
        Literal["coco", "labelme", "cvat", "yolo"] | None,
        typer.Option(
            "--annotation-format", help="For which tool (.json is coco, .xml cvat).", rich_help_panel=PRODUCTS
        ),
    ] = None,
    frames_dir: Annotated[
        Path | None,
        typer.Option(
            "--frames-dir",
            help="Folder for the frames themselves, named as in the annotations: PNG of videos, copies of pictures.",
            rich_help_panel=PRODUCTS,
        ),
    ] = None,
    overlay_strength: Annotated[
        float | None,
        typer.Option(
            "--overlay-strength", help="Opacity of the tint, 0 to 1 (default: 0.3).", rich_help_panel=PRODUCTS
        ),
    ] = None,
    overlay_color: Annotated[
        str | None,
        typer.Option("--overlay-color", help="Colour name or #rrggbb (default: green).", rich_help_panel=PRODUCTS),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.", rich_help_panel=PRODUCTS)
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            autocompletion=complete_weights,
            help="Model file or name (default: the bundled polyp-lite).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    network: Annotated[
        Literal["both", "1", "2"],
        typer.Option("--network", help="Mean of both networks, or one alone (faster).", rich_help_panel=MODEL),
    ] = "both",
    threshold: Annotated[
        float, typer.Option("--threshold", help="Lesion is where the probability is above.", rich_help_panel=MODEL)
    ] = 0.5,
    min_area: Annotated[
        int, typer.Option("--min-area", help="Drop regions of fewer pixels.", rich_help_panel=MODEL)
    ] = 0,
    presence: Annotated[
        float | None,
        typer.Option(
            "--presence",
            help="Draw regions whose peak probability reaches this; 0 draws all (default: as the model's card says).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    field_of_view: Annotated[
        str | None,
        typer.Option(
            "--field-of-view",
            metavar="auto|off|X,Y,W,H",
            help="Find the endoscope's picture and look there alone, look at whole frames, or in a box of pixels"
            " (default: as the model was trained).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    tta: Annotated[
        Literal["off", "flips"],
        typer.Option("--tta", help="Mean over each frame's mirror images; four times slower.", rich_help_panel=MODEL),
    ] = "off",
    device: Annotated[
        str,
        typer.Option(
            "--device", autocompletion=complete_device, help="auto, cpu, cuda, cuda:n or mps.", rich_help_panel=MODEL
        ),
    ] = "auto",
    batch_size: Annotated[
        str, typer.Option("--batch-size", help="Frames predicted together, or auto.", rich_help_panel=MODEL)
    ] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option(
            "--precision", help="auto is fp16 on CUDA, the faster of fp32 and bf16 on a CPU.", rich_help_panel=MODEL
        ),
    ] = "auto",
    runtime: Annotated[
        Literal["auto", "torch", "openvino", "onnx"],
        typer.Option(
            "--runtime",
            help="What runs the networks. auto is openvino where it is installed and the CPU computes in bf16, else"
            " torch in the faster precision.",
            rich_help_panel=MODEL,
        ),
    ] = "auto",
    refine: Annotated[
        Literal["auto", "flagged", "all", "off"],
        typer.Option(
            "--refine",
            help="Correct video masks by the frames around: where one comes or goes for less than 0.2 s, all, or none."
            " auto is flagged with a model that can, else off.",
            rich_help_panel=FRAMES,
        ),
    ] = "auto",
    causal: Annotated[
        bool, typer.Option("--causal", help="Refine by past frames only, as live use must.", rich_help_panel=FRAMES)
    ] = False,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="TIME", help="Where to start: seconds, or mm:ss.", rich_help_panel=FRAMES),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--end", metavar="TIME", help="Where to stop before: seconds, or mm:ss.", rich_help_panel=FRAMES),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            "--fps",
            help="The pictures of a folder, in the order of their names, are a video of so many frames per second:"
            " masks become a video, and refinement looks at the frames around.",
            rich_help_panel=FRAMES,
        ),
    ] = None,
    every: Annotated[
        int,
        typer.Option(
            "--every",
            help="Predict every N-th frame. Videos keep all frames and repeat the last mask; pictures and records"
            " hold the predicted ones.",
            rich_help_panel=FRAMES,
        ),
    ] = 1,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Do the I-th of N shares of the inputs, as one of N machines or jobs of an array.",
            rich_help_panel=FRAMES,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as one JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and warnings only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False,
) -> None:
    """Segment lesions in videos and pictures; masks line up with the input frame for frame.

    Writes to OUT.endoseg.part and renames it when it is complete. Prints the paths of what it wrote.

    Example: endoseg segment colonoscopy.mp4 --out mask.mp4 --overlay overlay.mp4 --records lesions.csv
    """
    from endoseg_cli.inference.inputs.sources import find_sources, parse_shard

    share = None if shard is None else parse_shard(shard)
    span = parse_clock("--start", start), parse_clock("--end", end)
    find_sources(inputs, sequences=fps is not None)  # a mistyped name must not wait until torch is imported
    from endoseg_cli.inference.inputs.views import parse_view
    from endoseg_cli.inference.job import run_job
    from endoseg_cli.inference.pipeline import SegmentConfig
    from endoseg_cli.inference.predict.masks import MaskConfig
    from endoseg_cli.inference.refine.refiner import RefineConfig
    from endoseg_cli.inference.write.output_paths import OutputConfig

    outputs = OutputConfig(
        masks=out,
        overlay=overlay,
        mask_pictures=masks_dir,
        probabilities=probabilities,
        records=records,
        annotations=_annotation_config(annotations, annotation_format, overwrite=overwrite),
        frames=frames_dir,
        overwrite=overwrite,
    )
    style = _overlay_config(overlay, overlay_strength, overlay_color)
    mask = MaskConfig(threshold=threshold, min_area=min_area)
    config = SegmentConfig(
        mask=mask,
        refine=RefineConfig(choice=refine, causal=causal),
        start=span[0],
        end=span[1],
        fps=fps,
        every=every,
        field_of_view=None if field_of_view is None else parse_view(field_of_view),
        overwrite=overwrite,
    )
    frames_together = _parse_batch_size(batch_size)
    console = SegmentConsole(quiet=quiet, verbose=verbose)

    def load() -> Predictor:
        return _load_predictor(weights, device, precision, network, frames_together, presence, tta, runtime, console)

    try:
        result = run_job(inputs, outputs, load, style, config, console, share)
    finally:
        console.close()
    outcomes = [outcome.to_dict() for outcome in result.outcomes]
    if as_json:
        failures = [{"input": str(source.path), "error": error.message} for source, error in result.failures]
        table = str(records) if records is not None else None
        shown = str(annotations) if annotations is not None else None
        content = {"results": outcomes, "failures": failures, "records": table, "annotations": shown}
        typer.echo(json.dumps(content, indent=2))
    elif not quiet:
        for path in _written(outcomes, outputs):
            typer.echo(path)
    if result.damaged:
        raise typer.Exit(DAMAGED_EXIT_CODE)


def _written(outcomes: Sequence[dict[str, Any]], outputs: OutputConfig) -> list[str]:
    """Return the paths of what was written: of several pictures' the folders that were asked for."""
    files = [path for outcome in outcomes for path in outcome["outputs"].values()]
    asked = (outputs.masks, outputs.overlay, outputs.mask_pictures, outputs.probabilities, outputs.frames)
    folders = [str(path) for path in asked if path is not None and path.is_dir()]
    annotations = None if outputs.annotations is None else outputs.annotations.path
    tables = [str(path) for path in (outputs.records, annotations) if path is not None]
    pictures = [file for file in files if Path(file).suffix.lower() == ".png"]
    if len(pictures) > sum(path is not None for path in asked):  # of more than one picture
        files = [file for file in files if file not in set(pictures)] + folders
    return list(dict.fromkeys(files + tables))


def _annotation_config(path: Path | None, name: str | None, *, overwrite: bool) -> AnnotationConfig | None:
    from endoseg_cli.annotations.writing.formats import AnnotationConfig, parse_format

    if path is None:
        if name is not None:
            raise UsageError("--annotation-format belongs to --annotations, which is not given")
        return None
    return AnnotationConfig(path=path, format=parse_format(name, path), overwrite=overwrite)


def _load_predictor(
    weights: str | None,
    device: str,
    precision: Precision,
    network: NetworkChoice,
    batch_size: int | None,
    presence: float | None,
    tta: TestTimeAugmentation,
    runtime: RuntimeChoice,
    console: SegmentConsole,
) -> Predictor:
    from endoseg_cli.inference.predict.predictor import Predictor
    from endoseg_cli.networks.files.bundle import load_bundle
    from endoseg_cli.networks.files.models import resolve_weights

    path = resolve_weights(weights)
    predictor = Predictor(
        load_bundle(path),
        device=device,
        precision=precision,
        network=network,
        batch_size=batch_size,
        presence=presence,
        tta=tta,
        runtime=runtime,
    )
    half = f" in {predictor.half_precision}" if predictor.half_precision else ""
    console.note(
        f"model {path}, device {predictor.device}, {predictor.runtime}{half}, {predictor.batch_size} frames together"
    )
    return predictor


def _overlay_config(overlay: Path | None, strength: float | None, colour: str | None) -> OverlayConfig:
    from endoseg_cli.inference.write.overlay import NAMED_COLOURS, OverlayConfig, parse_colour

    for option, value in (("--overlay-strength", strength), ("--overlay-color", colour)):
        if value is not None and overlay is None:
            raise UsageError(f"{option} belongs to --overlay, which is not given", hint="add --overlay FILE")
    first = parse_colour(colour or "green")
    others = tuple(other for other in NAMED_COLOURS.values() if other != first)
    return OverlayConfig(strength=0.3 if strength is None else strength, colours=(first, *others))


def _parse_batch_size(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--batch-size must be auto or a number from 1 on, found {text}")
    return int(text)
