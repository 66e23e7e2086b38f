"""The tables of an evaluation over time, and its table of frames as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, fields

from endoseg_cli.evaluation.report.tables import Table, number
from endoseg_cli.evaluation.video.metrics import VideoFrameScore, VideoSummary


def video_tables(summaries: Sequence[VideoSummary]) -> list[Table]:
    """Return the tables to print; one row for each method."""
    return [
        Table(
            title="Masks",
            columns=("", "Frames", "Dice", "with lesion", "untouched", "isolated", "better", "worse"),
            rows=tuple(_mask_row(summary) for summary in summaries),
            note="Untouched are frames that were neither spoiled nor, before, isolated failures. Better and worse: Dice"
            " moved by more than 0.05.",
        ),
        Table(
            title="Over time",
            columns=(
                "",
                "FN frames",
                "FP frames",
                "isolated FN repaired",
                "isolated FP repaired",
                "steadiness",
                "of the truth",
                "flicker",
                "short runs",
            ),
            rows=tuple(_time_row(summary) for summary in summaries),
            note="Isolated: empty between two masks, or a mask between two empty frames, against the truth. Steadiness:"
            " IoU of neighbouring masks after optical-flow alignment.",
        ),
    ]


def frame_table(scores: Sequence[VideoFrameScore]) -> str:
    """Return one row per frame and method as CSV; what is not defined is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(VideoFrameScore)], lineterminator="\n")
    writer.writeheader()
    for score in scores:
        writer.writerow({key: _cell(value) for key, value in asdict(score).items()})
    return text.getvalue()


def _mask_row(summary: VideoSummary) -> tuple[str, ...]:
    dice = (summary.dice, summary.dice_with_lesion, summary.dice_untouched, summary.dice_isolated)
    changed = (_count(summary.better_frames), _count(summary.worse_frames))
    return (summary.method, str(summary.frames), *(number(value, 4) for value in dice), *changed)


def _time_row(summary: VideoSummary) -> tuple[str, ...]:
    return (
        summary.method,
        _count(summary.false_negative_frames),
        _count(summary.false_positive_frames),
        _of(summary.repaired_false_negatives, summary.isolated_false_negatives),
        _of(summary.repaired_false_positives, summary.isolated_false_positives),
        number(summary.steadiness),
        number(summary.truth_steadiness),
        _count(summary.flicker),
        str(summary.short_runs),
    )


def _count(value: int | None) -> str:
    return "–" if value is None else str(value)


def _of(part: int | None, whole: int | None) -> str:
    return "–" if part is None else f"{part} of {whole}"


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else round(value, 6)
    return value
