"""The tables of an evaluation as plain text cells, shown alike on the terminal and in the HTML report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from endoseg_cli.evaluation.frames.metrics import MeanStd, Summary
from endoseg_cli.evaluation.frames.scoring import Evaluation
from endoseg_cli.evaluation.report.definitions import sweep_note

SHOWN_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Thresholds listed in the table (the nearest of the sweep); the plot shows all."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text; the first column is left-aligned, the others are numbers."""

    title: str
    """Heading."""
    columns: tuple[str, ...]
    """Heads of the columns."""
    rows: tuple[tuple[str, ...], ...]
    """Cells, as many per row as there are columns."""
    note: str = ""
    """One remark below the table."""


def number(value: float, digits: int = 3) -> str:
    """Return the value with fixed digits, or a dash where it is not defined."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def spread(value: MeanStd) -> str:
    """Return "mean ± std", or a dash where no frame defines the measure."""
    return number(value.mean) if math.isnan(value.std) else f"{value.mean:.3f} ± {value.std:.3f}"


def summary_table(evaluation: Evaluation) -> Table:
    """Pixel measures over frames, with the number of frames each is defined on."""
    summary = evaluation.summary
    measures = (
        ("Dice", summary.dice),
        ("Dice, frames with lesion", summary.dice_with_lesion),
        ("IoU", summary.iou),
        ("Sensitivity", summary.sensitivity),
        ("Sensitivity, 1 where undefined", summary.sensitivity_of_all),
        ("Specificity", summary.specificity),
    )
    rows = [(name, spread(value), str(value.frames)) for name, value in measures]
    rows.append(("Pooled Dice", number(summary.pooled_dice), str(summary.frames)))
    kept = f"{summary.empty_frames_kept} of {summary.empty_frames}"
    rows.append(("Empty frames kept empty", kept if summary.empty_frames else "–", str(summary.empty_frames)))
    note = f"Threshold {evaluation.config.threshold:g}. Two empty masks give Dice 1. Standard deviation with ddof = 1."
    return Table(title="Summary", columns=("Measure", "Mean ± std", "Frames"), rows=tuple(rows), note=note)


def image_level_table(evaluation: Evaluation) -> Table:
    """Is a lesion in the frame: ratios and the counts behind them."""
    level = evaluation.summary.image_level
    ratios = (number(level.precision), number(level.recall), number(level.f1), number(level.accuracy))
    counts = (str(level.tp), str(level.fp), str(level.fn), str(level.tn))
    return Table(
        title="Image level",
        columns=("", "Precision", "Recall", "F1", "Accuracy", "TP", "FP", "FN", "TN"),
        rows=(("Lesion in the frame", *ratios, *counts),),
        note="A frame is positive where any pixel is foreground. Counts are frames.",
    )


def network_table(evaluation: Evaluation) -> Table:
    """Each network alone, and the mean of their probabilities."""
    summaries = {f"Network {i}": summary for i, summary in enumerate(evaluation.networks, start=1)}
    return _summaries("By network", "Network", {**summaries, "Mean of both": evaluation.summary})


def group_table(evaluation: Evaluation) -> Table:
    """Each folder, patient or centre alone."""
    return _summaries("By folder", "Folder", evaluation.groups)


def size_table(evaluation: Evaluation) -> Table:
    """Small, medium and large lesions, and frames without one."""
    bounds = evaluation.config.size_bounds
    note = (
        f"Share of the frame that the true lesion covers: small below {100 * bounds.small_below:g} %, large above "
        f"{100 * bounds.large_above:g} %, medium between."
    )
    return _summaries("By lesion size", "Size", evaluation.sizes, note)


def sweep_table(evaluation: Evaluation) -> Table:
    """Some thresholds of the sweep, the best one included."""
    sweep = evaluation.sweep
    nearest = {int(abs(sweep.thresholds - threshold).argmin()) for threshold in SHOWN_THRESHOLDS}
    columns = (sweep.dice, sweep.dice_with_lesion, sweep.sensitivity, sweep.specificity, sweep.precision, sweep.recall)
    rows = []
    for index in sorted(nearest | {sweep.best}):
        name = f"{sweep.thresholds[index]:.3f}" + (" (best)" if index == sweep.best else "")
        rows.append((name, *(number(float(column[index])) for column in (*columns, sweep.f1))))
    heads = ("Threshold", "Dice", "Dice (lesion)", "Sensitivity", "Specificity", "Precision", "Recall", "F1")
    note = sweep_note(evaluation) + " Precision, recall and F1 are image-level."
    return Table(title="Threshold sweep", columns=heads, rows=tuple(rows), note=note)


def calibration_table(evaluation: Evaluation) -> Table:
    """Errors by uncertainty, with the two figures that sum the calibration up."""
    found = evaluation.calibration
    edges = found.uncertainty_edges
    rows = tuple(
        (
            f"{edges[i]:.3f} to {edges[i + 1]:.3f}",
            f"{100 * found.pixel_share[i]:.3f} %",
            "–" if math.isnan(found.error_rate[i]) else f"{100 * found.error_rate[i]:.2f} %",
        )
        for i in range(len(found.pixel_share))
    )
    note = (
        f"Uncertainty as a detector of errors: AUROC {number(found.auroc)}. Expected calibration error of the "
        f"probabilities: {number(found.expected_calibration_error, 4)}."
    )
    heads = ("Uncertainty (nats)", "Pixels", "Wrong")
    return Table(title="Error against uncertainty", columns=heads, rows=rows, note=note)


def all_tables(evaluation: Evaluation) -> list[Table]:
    """Return the tables in the order shown; a single network or folder has no table, as it would repeat the summary."""
    tables = [summary_table(evaluation), image_level_table(evaluation)]
    if len(evaluation.networks) > 1:
        tables.append(network_table(evaluation))
    if len(evaluation.groups) > 1:
        tables.append(group_table(evaluation))
    return [*tables, size_table(evaluation), sweep_table(evaluation), calibration_table(evaluation)]


def _summaries(title: str, head: str, summaries: Mapping[str, Summary], note: str = "") -> Table:
    rows = tuple((name or "(top folder)", *_summary_cells(summary)) for name, summary in summaries.items())
    heads = (head, "Frames", "Lesion", "Dice", "Dice (lesion)", "IoU", "Sensitivity", "Specificity", "Kept empty")
    return Table(title=title, columns=heads, rows=rows, note=note)


def _summary_cells(summary: Summary) -> Iterable[str]:
    measures = (summary.dice, summary.dice_with_lesion, summary.iou, summary.sensitivity, summary.specificity)
    kept = f"{summary.empty_frames_kept}/{summary.empty_frames}" if summary.empty_frames else "–"
    return (str(summary.frames), str(summary.frames_with_lesion), *(spread(value) for value in measures), kept)
