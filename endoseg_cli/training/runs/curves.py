"""curves.png: losses, Dice, foreground and learning rate of a run over its steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from endoseg_cli.part_file import whole_file
from endoseg_cli.training.runs.log import Row

PANELS = (
    ("loss terms", ("supervised", "dice", "cross", "joint", "labeled_cross", "logit_mse", "low_level", "bottleneck")),
    ("Dice on validation frames", ("val_dice", "val_lesion_dice", "pseudo_dice")),
    ("foreground", ("foreground",)),
    ("kept by the threshold, found, wrong, agreement", ("kept", "agreement", "pseudo_found", "pseudo_wrong")),
    ("learning rate", ("learning_rate",)),
    ("unsupervised weight", ("unsupervised_weight",)),
)
"""Title of each panel, and how the names of the columns in it begin."""
CORRECTIVE_PANELS = (
    ("Dice on spoiled windows", ("spoiled",)),
    ("Dice on untouched windows", ("untouched",)),
    ("segmentation loss", ("segmentation",)),
    ("consistency loss", ("consistency",)),
    ("gradient", ("gradient",)),
    ("learning rate", ("learning_rate",)),
)
"""The same for the corrective network."""
Panels = tuple[tuple[str, tuple[str, ...]], ...]


def write_curves(path: Path, rows: Sequence[Row], panels: Panels = PANELS) -> None:
    """Draw the columns of metrics.csv over the steps, atomically; no display is needed."""
    figure = Figure(figsize=(14, 8), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, prefixes) in zip(figure.subplots(2, 3).flat, panels, strict=True):
        _draw(axes, title, prefixes, rows)
    with whole_file(path, durable=False) as file:
        figure.savefig(file, dpi=80, format="png")


def _draw(axes: Axes, title: str, prefixes: tuple[str, ...], rows: Sequence[Row]) -> None:
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name.startswith(prefixes)]
    for name in names:
        points = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
        shown = [(step, value) for step, value in points if math.isfinite(value)]
        axes.plot([step for step, _ in shown], [value for _, value in shown], marker=".", label=name)
    axes.set_title(title)
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    if names:
        axes.legend(fontsize="x-small")
