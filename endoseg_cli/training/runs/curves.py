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
    """Draw the columns of metrics.csv over the steps, atomically; no display is needed.

    A panel of which the run has no number is left out, such as those of pseudo-labels where there are none.
    """
    curves = [(title, _curves(prefixes, rows)) for title, prefixes in panels]
    shown = [(title, lines) for title, lines in curves if lines]
    columns = 2 if len(shown) == 4 else min(3, max(len(shown), 1))
    lines_of_panels = max(math.ceil(len(shown) / columns), 1)
    figure = Figure(figsize=(14 / 3 * columns, 4 * lines_of_panels), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (title, lines) in enumerate(shown):
        _draw(figure.add_subplot(lines_of_panels, columns, place + 1), title, lines)
    with whole_file(path, durable=False) as file:
        figure.savefig(file, dpi=80, format="png")


def _curves(prefixes: tuple[str, ...], rows: Sequence[Row]) -> dict[str, list[tuple[int, float]]]:
    """Return step and value of each column that has any, by its name."""
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name.startswith(prefixes)]
    curves = {}
    for name in names:
        points = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
        if finite := [(step, value) for step, value in points if math.isfinite(value)]:
            curves[name] = finite
    return curves


def _draw(axes: Axes, title: str, curves: dict[str, list[tuple[int, float]]]) -> None:
    for name, points in curves.items():
        axes.plot([step for step, _ in points], [value for _, value in points], marker=".", label=name)
    axes.set_title(title)
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="x-small")
