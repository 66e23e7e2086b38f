from __future__ import annotations

import math

from endoseg_cli.data.labels.layout import LabeledRecord
from endoseg_cli.evaluation.frames.metrics import MeanStd
from endoseg_cli.evaluation.frames.scoring import Evaluation, EvaluationConfig, Predict, evaluate
from endoseg_cli.evaluation.report.tables import (
    all_tables,
    image_level_table,
    number,
    spread,
    summary_table,
    sweep_table,
)


def test_numbers_that_are_not_defined_are_dashes() -> None:
    assert number(math.nan) == "–"
    assert number(0.12345) == "0.123"
    assert spread(MeanStd(mean=0.5, std=math.nan, frames=1)) == "0.500"
    assert spread(MeanStd(mean=0.5, std=0.25, frames=2)) == "0.500 ± 0.250"
    assert spread(MeanStd(mean=math.nan, std=math.nan, frames=0)) == "–"


def test_every_row_has_as_many_cells_as_there_are_columns(evaluation: Evaluation) -> None:
    tables = all_tables(evaluation)
    titles = [table.title for table in tables]
    assert titles == [
        "Summary",
        "Image level",
        "By network",
        "By folder",
        "By lesion size",
        "Threshold sweep",
        "Error against uncertainty",
    ]
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)


def test_a_single_folder_or_network_repeats_nothing(records: list[LabeledRecord], predict: Predict) -> None:
    titles = [table.title for table in all_tables(evaluate(records[:2], predict, EvaluationConfig()))]
    assert "By folder" not in titles


def test_summary_says_on_how_many_frames_a_measure_is_defined(evaluation: Evaluation) -> None:
    rows = {row[0]: row[1:] for row in summary_table(evaluation).rows}
    assert rows["Dice"][1] == "4"
    assert rows["Sensitivity"][1] == "3"
    assert rows["Empty frames kept empty"] == ("1 of 1", "1")


def test_image_level_counts_frames(evaluation: Evaluation) -> None:
    assert image_level_table(evaluation).rows[0][1:] == ("1.000", "1.000", "1.000", "1.000", "3", "0", "0", "1")


def test_sweep_marks_the_best_threshold_and_warns(evaluation: Evaluation) -> None:
    table = sweep_table(evaluation)
    assert sum("(best)" in row[0] for row in table.rows) == 1
    assert "optimistic" in table.note
