from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.data.labels.layout import LabeledRecord
from endoseg_cli.evaluation.frames.scoring import Evaluation, EvaluationConfig, Predict, evaluate
from endoseg_cli.evaluation.report.files import frames_csv, report_dict
from endoseg_cli.evaluation.report.provenance import Provenance


def test_csv_has_one_row_per_frame_and_the_documented_columns(evaluation: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(frames_csv(evaluation))))
    assert list(rows[0]) == (
        "name group tp fp fn tn dice iou sensitivity specificity present predicted lesion_fraction size".split()
    )
    assert [row["name"] for row in rows] == [score.name for score in evaluation.scores]
    assert rows[0] == {
        "name": "a/one",
        "group": "a",
        "tp": "48",
        "fp": "16",
        "fn": "16",
        "tn": "688",
        "dice": "0.750000",
        "iou": "0.600000",
        "sensitivity": "0.750000",
        "specificity": "0.977273",
        "present": "1",
        "predicted": "1",
        "lesion_fraction": "0.083333",
        "size": "medium",
    }
    assert rows[1]["sensitivity"] == "" and rows[1]["present"] == "0" and rows[1]["size"] == "no lesion"


def test_csv_keeps_names_with_commas_and_quotes(
    write: Callable[[str, NDArray[np.bool_]], LabeledRecord], predict: Predict
) -> None:
    record = write('odd, "name"', np.zeros((8, 8), bool))
    rows = list(csv.DictReader(io.StringIO(frames_csv(evaluate([record], predict, EvaluationConfig())))))
    assert rows[0]["name"] == 'odd, "name"'


def test_json_is_strict_and_carries_the_numbers(evaluation: Evaluation, provenance: Provenance) -> None:
    report = json.loads(json.dumps(report_dict(evaluation, provenance), allow_nan=False))
    assert report["summary"]["dice"]["mean"] == pytest.approx(evaluation.summary.dice.mean)
    assert report["summary"]["image_level"]["tp"] == 3
    assert report["groups"]["a"]["frames"] == 2
    assert report["sizes"]["no lesion"]["sensitivity"] == {"mean": None, "std": None, "frames": 0}
    assert len(report["networks"]) == 2
    assert len(report["sweep"]["thresholds"]) == len(report["sweep"]["dice"]) == 255
    assert "optimistic" in report["sweep"]["warning"]
    assert report["calibration"]["auroc"] == pytest.approx(evaluation.calibration.auroc)
    assert report["provenance"]["model_card"]["input_size"] == [64, 64]
    assert "1e-5" in report["definitions"]["Dice"]
    assert any("never predicts anything would score a mean Dice of 0.250" in note for note in report["notes"])


def test_undefined_numbers_are_null(records: list[LabeledRecord], predict: Predict, provenance: Provenance) -> None:
    report = report_dict(evaluate(records[1:2], predict, EvaluationConfig()), provenance)
    assert report["summary"]["dice"]["std"] is None
    assert report["summary"]["image_level"]["precision"] is None
    assert not any(isinstance(value, float) and math.isnan(value) for value in report["sweep"]["f1"])
    assert any("No frame has a lesion" in note for note in report["notes"])
