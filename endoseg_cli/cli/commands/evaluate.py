"""`endoseg evaluate`: score a model on frames with known masks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from endoseg_cli.cli.commands.evaluate_video import VideoOptions, VideoPaths, evaluate_video
from endoseg_cli.cli.console.tables import print_tables
from endoseg_cli.cli.options.completion import complete_device, complete_weights
from endoseg_cli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from endoseg_cli.data.labels.layout import LabeledRecord
    from endoseg_cli.evaluation.frames.scoring import Evaluation, EvaluationConfig, Predict
    from endoseg_cli.evaluation.report.provenance import Provenance
    from endoseg_cli.inference.predict.predictor import NetworkChoice, Predictor
    from endoseg_cli.networks.files.bundle import ModelCard

VIDEO = "Over time"


def evaluate(
    labeled: Annotated[
        Path | None,
        typer.Option(
            "--labeled",
            metavar="PATH",
            help="Folder of images and masks or LabelMe files, or COCO file, to score the model on.",
        ),
    ] = None,
    split: Annotated[
        Path | None, typer.Option("--split", metavar="FILE", help="Split file (JSON) whose val list is scored instead.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", help="Where the split file's names are looked up (default: its folder).")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            autocompletion=complete_weights,
            help="Model file, or name of a model (default: the bundled one).",
        ),
    ] = None,
    network: Annotated[
        Literal["both", "1", "2"], typer.Option("--network", help="Mean of both networks, or one of them alone.")
    ] = "both",
    threshold: Annotated[
        float, typer.Option("--threshold", help="A pixel is lesion where its probability is above this.")
    ] = 0.5,
    presence: Annotated[
        float | None,
        typer.Option("--presence", help="As segment's (default: as the model's card says)."),
    ] = None,
    tta: Annotated[
        Literal["off", "flips"], typer.Option("--tta", help="Mean over each frame's mirror images.")
    ] = "off",
    size_bounds: Annotated[
        tuple[float, float],
        typer.Option("--size-bounds", help="Shares of the frame between small, medium and large lesions."),
    ] = (0.02, 0.10),
    device: Annotated[
        str, typer.Option("--device", autocompletion=complete_device, help="auto, cpu, cuda, cuda:1, mps.")
    ] = "auto",
    runtime: Annotated[
        Literal["torch", "openvino", "onnx"],
        typer.Option("--runtime", help="What runs the networks, in fp32; as segment's."),
    ] = "torch",
    batch_size: Annotated[int, typer.Option("--batch-size", help="Frames read and predicted together.")] = 4,
    per_frame: Annotated[
        Path | None, typer.Option("--per-frame", metavar="FILE.csv", help="Write one row of scores per frame.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.html", help="Write tables, plots, best and worst frames as one page."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    video: Annotated[
        list[Path] | None,
        typer.Option(
            "--video",
            metavar="PATH",
            help="Video or folder of videos or frames to score over time, with masks (VIDEO_masks/) or without.",
            rich_help_panel=VIDEO,
        ),
    ] = None,
    stills: Annotated[
        list[Path] | None,
        typer.Option(
            "--stills",
            metavar="PATH",
            help="Frames with masks, like --labeled; a camera moves over each, which makes clips with truth.",
            rich_help_panel=VIDEO,
        ),
    ] = None,
    still_clips: Annotated[
        int | None,
        typer.Option(
            "--still-clips", help="How many such clips, one second each (default: 40).", rich_help_panel=VIDEO
        ),
    ] = None,
    refine: Annotated[
        Literal["auto", "flagged", "all", "off"] | None,
        typer.Option("--refine", help="Only this refinement (default: flagged and all).", rich_help_panel=VIDEO),
    ] = None,
    causal: Annotated[
        bool, typer.Option("--causal", help="Refine by past frames only.", rich_help_panel=VIDEO)
    ] = False,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Score simple means over time as well.", rich_help_panel=VIDEO)
    ] = False,
    spoil: Annotated[
        int | None,
        typer.Option(
            "--spoil",
            metavar="SEED",
            help="Empty some frames and invent lesions in others first.",
            rich_help_panel=VIDEO,
        ),
    ] = None,
) -> None:
    """Score a model on frames with known masks: pixels, frames, folders, lesion sizes, thresholds, calibration.

    With --video, score it over time: failures of single frames, flicker, and what refinement repairs and harms.

    Example: endoseg evaluate --labeled frames --weights runs/first/model.safetensors --report report.html
    """
    from endoseg_cli.evaluation.frames.breakdown import SizeBounds
    from endoseg_cli.evaluation.frames.scoring import EvaluationConfig
    from endoseg_cli.inference.predict.predictor import Predictor
    from endoseg_cli.networks.files.bundle import load_bundle
    from endoseg_cli.networks.files.models import resolve_weights

    over_time = VideoOptions(refine=refine, causal=causal, baselines=baselines, spoil=spoil, still_clips=still_clips)
    if still_clips is not None and not stills:
        raise UsageError("--still-clips belongs to --stills, found none", hint="add --stills PATH")
    # fp32 everywhere: a number must not depend on the kind of device
    make = partial(
        Predictor,
        device=device,
        precision="fp32",
        network=network,
        batch_size=batch_size,
        presence=presence,
        tta=tta,
        runtime=runtime,
    )
    if video or stills:
        _refuse_with_video({"--labeled": labeled, "--split": split, "--root": root, "--report": report})
        _check_outputs(per_frame, None, overwrite=overwrite)
        weights_file = resolve_weights(weights)
        predictor = make(load_bundle(weights_file))
        paths = VideoPaths(videos=video or (), stills=stills or ())
        evaluate_video(paths, predictor, over_time, threshold=threshold, per_frame=per_frame, as_json=as_json)
        return
    over_time.refuse_without_video()
    bounds = SizeBounds(small_below=size_bounds[0], large_above=size_bounds[1])
    config = EvaluationConfig(threshold=threshold, batch_size=batch_size, size_bounds=bounds)
    _check_outputs(per_frame, report, overwrite=overwrite)
    records = _records(labeled, split, root)
    source = resolve_weights(weights)
    bundle = load_bundle(source)
    predictor = make(bundle)
    evaluation = _evaluate(records, _as_predict(predictor), config)
    provenance = _provenance(
        records,
        weights=source,
        card=bundle.card,
        network="both" if len(bundle.networks) > 1 and network == "both" else "1" if network == "both" else network,
        device=str(predictor.device),
        labeled=labeled,
        split=split,
        root=root,
        presence=predictor.presence,
        tta=tta,
    )
    # Printed first: should a file not be writable, the numbers are not lost.
    _print(evaluation, provenance, as_json=as_json)
    _write(evaluation, provenance, per_frame, report)


def _refuse_with_video(options: Mapping[str, Path | None]) -> None:
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise UsageError(f"{' and '.join(given)} cannot go with --video, which names the frames", hint="leave it out")


def _check_outputs(per_frame: Path | None, report: Path | None, *, overwrite: bool) -> None:
    from endoseg_cli.evaluation.report.output import check_output

    if per_frame is not None and per_frame == report:
        raise UsageError(f"--per-frame and --report need two files, found {report} for both")
    for path, option in ((per_frame, "--per-frame"), (report, "--report")):
        if path is not None:
            check_output(path, option, overwrite=overwrite)


def _records(labeled: Path | None, split: Path | None, root: Path | None) -> Sequence[LabeledRecord]:
    """Return the frames of --labeled, or the val list of --split."""
    from endoseg_cli.data.labels.layout import find_labeled
    from endoseg_cli.data.sets.split import read_split

    if (labeled is None) == (split is None):
        found = "neither" if labeled is None else "both"
        raise UsageError(f"expected --labeled or --split, found {found}", hint="for example --labeled DIR")
    if root is not None and split is None:
        raise UsageError("--root belongs to --split, which is not given", hint="take --root out")
    if labeled is not None:
        return find_labeled(labeled)
    assert split is not None
    records = read_split(split, root).val
    if not records:
        raise UsageError(f"expected frames in the val list of {split}, found none", hint="or give a folder: --labeled")
    return records


def _provenance(
    records: Sequence[LabeledRecord],
    *,
    weights: Path,
    card: ModelCard,
    network: NetworkChoice,
    device: str,
    labeled: Path | None,
    split: Path | None,
    root: Path | None,
    presence: float,
    tta: str,
) -> Provenance:
    from endoseg_cli import __version__
    from endoseg_cli.evaluation.report.provenance import Provenance, digest_file, digest_records

    folder = labeled or root or (split and split.parent)
    return Provenance(
        endoseg_version=__version__,
        weights=str(weights),
        weights_sha256=digest_file(weights),
        model_card=asdict(card),
        network=network,
        device=device,
        labeled=str(folder),
        split=f"val list of {split}" if split else "all frames",
        data_sha256=digest_records(records),
        presence=presence,
        tta=tta,
    )


def _as_predict(predictor: Predictor) -> Predict:
    """Make the predictor what `evaluate` asks for: joint and single probabilities (H, W) of any lesion class."""
    from endoseg_cli.evaluation.frames.scoring import FramePrediction

    def predict(frames: Sequence[NDArray[np.uint8]]) -> list[FramePrediction]:
        return [
            FramePrediction(
                probability=joint.max(axis=0),
                networks=tuple(alone.max(axis=0) for alone in each) if len(each) > 1 else (),
            )
            for joint, *each in predictor.predict_each_any_size(frames)
        ]

    return predict


def _evaluate(records: Sequence[LabeledRecord], predict: Predict, config: EvaluationConfig) -> Evaluation:
    """Evaluate with a progress bar on stderr."""
    from endoseg_cli.evaluation.frames.scoring import evaluate as evaluate_frames

    columns = (TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("frames", total=len(records))
        return evaluate_frames(records, predict, config, on_frame=lambda _: progress.advance(task))


def _print(evaluation: Evaluation, provenance: Provenance, *, as_json: bool) -> None:
    """Print one JSON object, or the tables, on stdout."""
    from endoseg_cli.evaluation.report.files import report_dict

    if as_json:
        typer.echo(json.dumps(report_dict(evaluation, provenance), indent=2, allow_nan=False))
    else:
        _print_tables(evaluation)


def _write(evaluation: Evaluation, provenance: Provenance, per_frame: Path | None, report: Path | None) -> None:
    from endoseg_cli.evaluation.report.files import frames_csv
    from endoseg_cli.evaluation.report.output import write_text
    from endoseg_cli.evaluation.report.page import html_report

    if per_frame is not None:
        write_text(per_frame, frames_csv(evaluation))
    if report is not None:
        write_text(report, html_report(evaluation, provenance))


def _print_tables(evaluation: Evaluation) -> None:
    """Print the tables on stdout, notes on what to beware of on stderr."""
    from endoseg_cli.evaluation.report.definitions import notes
    from endoseg_cli.evaluation.report.tables import all_tables

    print_tables(all_tables(evaluation))
    for note in notes(evaluation):
        typer.echo(f"note: {note}", err=True)
