"""metrics.csv: one row per validation, readable while the run goes on, and continued by a resumed run."""

from __future__ import annotations

import csv
from io import TextIOWrapper
from pathlib import Path

from endoseg_cli.errors import OutputError
from endoseg_cli.part_file import whole_file
from endoseg_cli.training.engine.records import ValidationRecord

Row = dict[str, str]


class MetricsLog:
    """Writes validations to a CSV file; rows after step `keep_until`, left by a run that was cut off, are dropped.

    The whole file is written anew each time, because terms that begin after the warm-up add columns.
    """

    def __init__(self, path: Path, *, keep_until: int) -> None:
        self._path = path
        self.rows: list[Row] = []
        if keep_until and path.is_file():
            self.rows = [row for row in read_metrics(path) if int(row["step"]) <= keep_until]

    def write(self, record: ValidationRecord) -> None:
        """Append one validation; raises OutputError when the disk does not take it."""
        self.append(_row(record))

    def append(self, row: Row) -> None:
        """Append a row, which has a `step`; raises OutputError when the disk does not take it."""
        self.rows.append(row)
        self._write()

    def _write(self) -> None:
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        try:
            with whole_file(self._path) as binary, TextIOWrapper(binary, encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
                writer.writeheader()
                writer.writerows(self.rows)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}", hint="check the free space") from error


def read_metrics(path: Path) -> list[Row]:
    """Return the rows of a metrics.csv; a value that a validation lacks is an empty text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _row(record: ValidationRecord) -> Row:
    row: Row = {
        "step": str(record.step),
        "epoch": f"{record.epoch:.3f}",
        "seconds": f"{record.seconds:.1f}",
        "learning_rate": f"{record.learning_rate:.3e}",
        "unsupervised_weight": f"{record.unsupervised_weight:.6f}",
    }
    for number, scores in enumerate(record.scores, start=1):
        row |= {f"val_{name}_{number}": f"{value:.6f}" for name, value in vars(scores).items()}
    row |= {name: f"{value:.6f}" for name, value in record.values.items()}
    return row
