"""metrics.csv: one row per validation, readable while the run goes on, and continued by a resumed run."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import Self

from endoseg_cli.training.trainer import ValidationRecord


class MetricsLog:
    """Appends validations to a CSV file; rows after step `keep_until`, left by a run that was cut off, are dropped."""

    def __init__(self, path: Path, *, keep_until: int) -> None:
        self._path = path
        kept: list[dict[str, str]] = []
        if keep_until and path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= keep_until]
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer: csv.DictWriter[str] | None = None
        for row in kept:
            self._append(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, record: ValidationRecord) -> None:
        """Append one validation."""
        row: dict[str, str] = {
            "step": str(record.step),
            "epoch": f"{record.epoch:.3f}",
            "seconds": f"{record.seconds:.1f}",
            **{name: f"{value:.6f}" for name, value in record.terms.items()},
        }
        for number, scores in enumerate(record.scores, start=1):
            row |= {f"{name}_{number}": f"{value:.6f}" for name, value in _score_columns(scores.__dict__).items()}
        self._append(row)

    def _append(self, row: dict[str, str]) -> None:
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, list(row), lineterminator="\n")
            self._writer.writeheader()
        self._writer.writerow(row)
        self._file.flush()


def _score_columns(scores: dict[str, float]) -> dict[str, float]:
    return {f"val_{name}": value for name, value in scores.items()}
