"""`endoseg evaluate`: score a model on frames with known masks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from endoseg_cli.cli.commands.evaluate_video import PageOptions, evaluate_video
from endoseg_cli.cli.console.bar import passing_bar
from endoseg_cli.cli.console.say import say
from endoseg_cli.cli.console.tables import print_tables
from endoseg_cli.cli.options.evaluating import ReportOptions, ScoredOptions, VideoOptions, VideoPaths
from endoseg_cli.cli.options.groups import grouped
from endoseg_cli.cli.options.privacy import RedactOptions
from endoseg_cli.cli.options.shared import ModelOptions
from endoseg_cli.errors import UsageError
from endoseg_cli.part_file import write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from endoseg_cli.data.labels.layout import LabeledRecord
    from endoseg_cli.evaluation.frames.scoring import Evaluation, EvaluationConfig, Predict
    from endoseg_cli.evaluation.report.provenance import Provenance
    from endoseg_cli.inference.predict.predictor import Predictor
    from endoseg_cli.pictures.redaction import RedactConfig


@grouped
def evaluate(
    scored: ScoredOptions,
    model: ModelOptions,
    report: ReportOptions,
    privacy: RedactOptions,
    clips: VideoPaths,
    over_time: VideoOptions,
) -> None:
    """Score a model on frames with known masks: pixels, frames, folders, lesion sizes, thresholds, calibration.

    With --video, score it over time: failures of single frames, flicker, and what refinement repairs and harms.

    Example: endoseg evaluate --labeled frames --weights runs/first/model.safetensors --report report.html
    """
    if over_time.still_clips is not None and not clips.stills:
        raise UsageError("--still-clips belongs to --stills, found none", hint="add --stills PATH")
    redact = privacy.redaction()
    if redact and report.report is None:
        raise UsageError("--redact belongs to --report, which is not given", hint="leave it out")
    if clips.video or clips.stills:
        _evaluate_clips(scored, model, report, redact, clips, over_time)
        return
    over_time.refuse_without_video()
    _evaluate_frames(scored, model, report, redact)


def _evaluate_clips(
    scored: ScoredOptions,
    model: ModelOptions,
    report: ReportOptions,
    redact: RedactConfig,
    clips: VideoPaths,
    over_time: VideoOptions,
) -> None:
    _refuse_with_video({"--labeled": scored.labeled, "--split": scored.split, "--root": scored.root})
    if clips.stills and report.report is not None:
        raise UsageError("--report is the page of a video, found --stills", hint="leave one of them out")
    _check_outputs({"--per-frame": report.per_frame}, report)
    # fp32 everywhere: a number must not depend on the kind of device
    predictor = model.load(model.find(), precision="fp32", batch_size=report.batch_size, runtime=report.runtime)
    evaluate_video(
        clips,
        predictor,
        over_time,
        threshold=model.threshold,
        per_frame=report.per_frame,
        as_json=report.as_json,
        pages=None
        if report.report is None
        else PageOptions(place=report.report, overwrite=report.overwrite, redact=redact),
    )


def _evaluate_frames(scored: ScoredOptions, model: ModelOptions, report: ReportOptions, redact: RedactConfig) -> None:
    from endoseg_cli.evaluation.frames.breakdown import SizeBounds
    from endoseg_cli.evaluation.frames.scoring import EvaluationConfig

    bounds = SizeBounds(small_below=report.size_bounds[0], large_above=report.size_bounds[1])
    config = EvaluationConfig(
        threshold=model.threshold, batch_size=report.batch_size, size_bounds=bounds, redact=redact
    )
    _check_outputs({"--per-frame": report.per_frame, "--report": report.report}, report)
    records = _records(scored)
    if redact:
        redact.check_first([record.image for record in records])
    source = model.find()
    predictor = model.load(source, precision="fp32", batch_size=report.batch_size, runtime=report.runtime)
    evaluation = _evaluate(records, _as_predict(predictor), config)
    provenance = _provenance(records, scored, model, predictor, source, whole_paths=report.verbose)
    # Printed first: should a file not be writable, the numbers are not lost.
    _print(evaluation, provenance, as_json=report.as_json)
    _write(evaluation, provenance, report.per_frame, report.report)


def _refuse_with_video(options: Mapping[str, Path | None]) -> None:
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise UsageError(f"{' and '.join(given)} cannot go with --video, which names the frames", hint="leave it out")


def _check_outputs(files: Mapping[str, Path | None], report: ReportOptions) -> None:
    """Refuse one file for two things, and files that cannot be written."""
    from endoseg_cli.evaluation.report.output import check_output

    if report.per_frame is not None and report.per_frame == report.report:
        raise UsageError(f"--per-frame and --report need two files, found {report.report} for both")
    for option, path in files.items():
        if path is not None:
            check_output(path, option, overwrite=report.overwrite)


def _records(scored: ScoredOptions) -> Sequence[LabeledRecord]:
    """Return the frames of --labeled, or the val list of --split."""
    labeled, split, root = scored.labeled, scored.split, scored.root
    from endoseg_cli.data.labels.layout import find_labeled
    from endoseg_cli.data.sets.split import read_split

    if (labeled is None) == (split is None):
        found = "neither" if labeled is None else "both"
        raise UsageError(f"expected --labeled or --split, found {found}", hint="for example --labeled DIR")
    if root is not None and split is None:
        raise UsageError("--root belongs to --split, which is not given", hint="take --root out")
    if scored.outside_root and split is None:
        raise UsageError("--outside-root belongs to --split, which is not given", hint="take --outside-root out")
    if labeled is not None:
        return find_labeled(labeled)
    assert split is not None
    records = read_split(split, root, outside=scored.outside_root).val
    if not records:
        raise UsageError(f"expected frames in the val list of {split}, found none", hint="or give a folder: --labeled")
    return records


def _provenance(
    records: Sequence[LabeledRecord],
    scored: ScoredOptions,
    model: ModelOptions,
    predictor: Predictor,
    weights: Path,
    *,
    whole_paths: bool,
) -> Provenance:
    from endoseg_cli import __version__
    from endoseg_cli.evaluation.report.provenance import Provenance, digest_file, digest_records
    from endoseg_cli.networks.files.models import MODEL_OF_A_RUN

    folder = scored.labeled or scored.root or (scored.split and scored.split.parent)
    assert folder is not None, "frames are named by a folder, a file or a split file"

    def shown(path: Path, parts: int = 1) -> str:
        return str(path) if whole_paths else "/".join(path.absolute().parts[-parts:])

    return Provenance(
        endoseg_version=__version__,
        weights=shown(weights, 2 if weights.name == MODEL_OF_A_RUN else 1),
        weights_sha256=digest_file(weights),
        model_card=asdict(predictor.card),
        network=predictor.network,
        device=str(predictor.device),
        labeled=shown(folder),
        split=f"val list of {shown(scored.split)}" if scored.split else "all frames",
        data_sha256=digest_records(records),
        presence=predictor.presence,
        tta=model.tta,
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
    with passing_bar(*columns) as progress:
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
    from endoseg_cli.evaluation.report.page import html_report

    if per_frame is not None:
        write_whole(per_frame, frames_csv(evaluation), durable=True)
    if report is not None:
        write_whole(report, html_report(evaluation, provenance), durable=True)


def _print_tables(evaluation: Evaluation) -> None:
    """Print the tables on stdout, notes on what to beware of on stderr."""
    from endoseg_cli.evaluation.report.definitions import notes
    from endoseg_cli.evaluation.report.tables import all_tables

    print_tables(all_tables(evaluation))
    for note in notes(evaluation):
        say(f"note: {note}")
