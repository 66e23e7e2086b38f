"""An evaluation as data: one CSV row per frame, and one JSON object for everything else."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from endoseg_cli.evaluation.frames.breakdown import SizeBounds
from endoseg_cli.evaluation.frames.metrics import FrameScore
from endoseg_cli.evaluation.frames.scoring import Evaluation
from endoseg_cli.evaluation.report.definitions import DEFINITIONS, notes, sweep_note
from endoseg_cli.evaluation.report.provenance import Provenance

CSV_COLUMNS = (*(field.name for field in fields(FrameScore)), "size")
"""Columns of the per-frame table: the fields of FrameScore, and small/medium/large/no lesion."""


def frames_csv(evaluation: Evaluation) -> str:
    """Return the per-frame table: yes/no as 1/0, and an empty cell where a measure is not defined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for score in evaluation.scores:
        writer.writerow(_csv_row(score, evaluation.config.size_bounds))
    return text.getvalue()


def report_dict(evaluation: Evaluation, provenance: Provenance) -> dict[str, Any]:
    """Return the evaluation as a dict for JSON; what is not defined (NaN) is None."""
    best = evaluation.sweep.best
    report = {
        "provenance": asdict(provenance),
        "config": asdict(evaluation.config),
        "summary": asdict(evaluation.summary),
        "networks": [asdict(summary) for summary in evaluation.networks],
        "groups": {name: asdict(summary) for name, summary in evaluation.groups.items()},
        "sizes": {name: asdict(summary) for name, summary in evaluation.sizes.items()},
        "sweep": {
            "best_threshold": float(evaluation.sweep.thresholds[best]),
            "best_dice": float(evaluation.sweep.dice[best]),
            "warning": sweep_note(evaluation),
            **asdict(evaluation.sweep),
        },
        "calibration": asdict(evaluation.calibration),
        "definitions": dict(DEFINITIONS),
        "notes": notes(evaluation),
    }
    plain = _plain(report)
    assert isinstance(plain, dict)
    return plain


def _csv_row(score: FrameScore, bounds: SizeBounds) -> list[object]:
    return [*(_csv_cell(getattr(score, field.name)) for field in fields(score)), bounds.size_of(score)]


def _csv_cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6f}"
    return value


def _plain(value: object) -> object:
    """Turn arrays into lists, tuples into lists and NaN into None, all the way down."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
