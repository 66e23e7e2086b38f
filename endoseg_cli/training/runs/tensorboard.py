"""Event files for TensorBoard, where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from endoseg_cli.errors import UsageError
from endoseg_cli.training.runs.log import Row


def check_tensorboard() -> None:
    """Raise UsageError unless TensorBoard is installed."""
    if find_spec("tensorboard") is None:
        raise UsageError("--tensorboard: TensorBoard is not installed", hint="pip install tensorboard")


def open_events(folder: Path) -> Any:
    """Return torch's writer of event files for `folder`."""
    check_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def write_events(writer: Any, row: Row) -> None:
    """Write one row of metrics.csv."""
    for name, value in row.items():
        if name not in ("step", "epoch"):
            writer.add_scalar(name, float(value), int(row["step"]))
