"""An evaluation as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from endoseg_cli.evaluation.frames.scoring import Evaluation
from endoseg_cli.evaluation.report import plots, tables
from endoseg_cli.evaluation.report.definitions import DEFINITIONS, notes
from endoseg_cli.evaluation.report.provenance import Provenance
from endoseg_cli.evaluation.report.tables import Table, number
from endoseg_cli.pictures.images import encode_jpeg
from endoseg_cli.templates import page_template, page_text

_PLOTS = {
    "Summary": (("Dice of the frames", plots.dice_histogram), ("Dice against lesion size", plots.dice_by_size)),
    "Threshold sweep": (("Scores at every threshold", plots.threshold_sweep),),
    "Error against uncertainty": (
        ("Error against uncertainty", plots.error_by_uncertainty),
        ("Reliability of the probabilities", plots.reliability),
    ),
}
"""Plots that stand below a table, by its title: each with a title of its own."""
_Figure = tuple[str, bytes, bytes]  # title, PNG for light pages, for dark ones


def html_report(evaluation: Evaluation, provenance: Provenance) -> str:
    """Return the report as one HTML document; every text in it that comes from outside is escaped."""
    galleries = {"Worst frames": evaluation.worst, "Best frames": evaluation.best}
    return page_template("evaluation.report", "report.html").render(
        style=page_text("evaluation.report", "report.css"),
        model=provenance.model_card.get("name", provenance.weights),
        provenance=provenance,
        summary=evaluation.summary,
        threshold=evaluation.config.threshold,
        tiles=_tiles(evaluation),
        notes=notes(evaluation),
        sections=_sections(evaluation),
        galleries=[
            (title, [(frame.score, encode_jpeg(frame.picture, 85)) for frame in frames])
            for title, frames in galleries.items()
        ],
        facts=_facts(provenance),
        card={key.replace("_", " "): value for key, value in provenance.model_card.items()},
        definitions=DEFINITIONS,
    )


def _tiles(evaluation: Evaluation) -> tuple[tuple[str, str], ...]:
    summary = evaluation.summary
    return (
        (number(summary.dice.mean), f"mean Dice, all frames (std {number(summary.dice.std)})"),
        (number(summary.dice_with_lesion.mean), "mean Dice, frames with lesion"),
        (number(summary.sensitivity.mean), "mean sensitivity"),
        (number(summary.specificity.mean), "mean specificity"),
        (number(summary.image_level.f1), "image-level F1"),
        (
            f"{summary.empty_frames_kept} / {summary.empty_frames}" if summary.empty_frames else "–",
            "empty frames kept empty",
        ),
    )


def _sections(evaluation: Evaluation) -> Iterator[tuple[Table, list[_Figure]]]:
    for table in tables.all_tables(evaluation):
        drawn = [
            (name, plots.render(plot, evaluation, plots.LIGHT), plots.render(plot, evaluation, plots.DARK))
            for name, plot in _PLOTS.get(table.title, ())
        ]
        yield table, drawn


def _facts(provenance: Provenance) -> dict[str, str]:
    return {
        "Weights": provenance.weights,
        "SHA-256 of the weights": provenance.weights_sha256,
        "Network": "mean of both" if provenance.network == "both" else provenance.network,
        "Device": provenance.device,
        "Frames": f"{provenance.labeled} ({provenance.split})",
        "SHA-256 of frames and masks": provenance.data_sha256,
    }
