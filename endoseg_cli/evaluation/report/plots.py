"""The plots of a report as PNG bytes, once for light and once for dark pages."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from endoseg_cli.evaluation.frames.scoring import Evaluation


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours of a plot; the background is transparent, so the page shows through."""

    ink: str
    """Text and axes."""
    grid: str
    """Grid lines."""
    first: str
    """First series (told apart from the others by colour-blind readers too)."""
    second: str
    """Second series."""
    third: str
    """Third series."""


LIGHT = Theme(ink="#30363d", grid="#d8dde3", first="#1f6feb", second="#d9730d", third="#118a7e")
DARK = Theme(ink="#c9d1d9", grid="#39414b", first="#6ea8fe", second="#f0a35e", third="#4fd1c5")

Plot = Callable[[Axes, Evaluation, Theme], None]


def render(plot: Plot, evaluation: Evaluation, theme: Theme) -> bytes:
    """Draw one plot, 6 x 3.8 inches at 150 dpi, and return it as PNG."""
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _style(axes, theme)
    plot(axes, evaluation, theme)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, transparent=True, metadata={"Software": None})
    return buffer.getvalue()


def dice_histogram(axes: Axes, evaluation: Evaluation, theme: Theme) -> None:
    """How many frames have which Dice, frames with and without lesion apart."""
    lesion = [score.dice for score in evaluation.scores if score.present]
    empty = [score.dice for score in evaluation.scores if not score.present]
    colours, labels = [theme.first, theme.second], ["with lesion", "without lesion"]
    axes.hist([lesion, empty], bins=20, range=(0, 1), stacked=True, color=colours, label=labels)
    axes.set(xlabel="Dice of the frame", ylabel="frames", xlim=(0, 1))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes, theme)


def dice_by_size(axes: Axes, evaluation: Evaluation, theme: Theme) -> None:
    """Dice of each frame against the share of the frame that the lesion covers."""
    lesions = [score for score in evaluation.scores if score.present]
    shares = [100 * score.lesion_fraction for score in lesions]
    axes.scatter(shares, [score.dice for score in lesions], s=22, alpha=0.7, color=theme.first, linewidths=0)
    bounds = evaluation.config.size_bounds
    for bound in (bounds.small_below, bounds.large_above):
        axes.axvline(100 * bound, color=theme.ink, linewidth=1, linestyle=":")
    if lesions:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="lesion, % of the frame (dotted: small | medium | large)", ylabel="Dice", ylim=(-0.03, 1.03))


def threshold_sweep(axes: Axes, evaluation: Evaluation, theme: Theme) -> None:
    """Mean Dice and image-level F1 at every threshold."""
    sweep = evaluation.sweep
    axes.plot(sweep.thresholds, sweep.dice, color=theme.first, label="mean Dice")
    axes.plot(sweep.thresholds, sweep.dice_with_lesion, color=theme.second, label="mean Dice, frames with lesion")
    axes.plot(sweep.thresholds, sweep.f1, color=theme.third, linestyle="--", label="image-level F1")
    used = evaluation.config.threshold
    axes.axvline(used, color=theme.ink, linewidth=1, linestyle=":", label=f"threshold used, {used:g}")
    axes.set(xlabel="threshold", xlim=(0, 1), ylim=(-0.03, 1.03))
    _legend(axes, theme)


def error_by_uncertainty(axes: Axes, evaluation: Evaluation, theme: Theme) -> None:
    """Share of wrong pixels, and share of all pixels, in each bin of uncertainty."""
    found = evaluation.calibration
    edges = found.uncertainty_edges
    centres = (edges[:-1] + edges[1:]) / 2
    axes.bar(centres, 100 * np.nan_to_num(found.error_rate), width=0.85 * np.diff(edges), color=theme.first)
    axes.set(xlabel="uncertainty (nats)", ylabel="wrong pixels, %", xlim=(0, edges[-1]), ylim=(0, None))
    axes.yaxis.label.set_color(theme.first)
    shares = axes.twinx()
    _style(shares, theme)
    shares.grid(False)
    filled = found.pixel_share > 0
    shares.plot(centres[filled], 100 * found.pixel_share[filled], "o-", color=theme.second, markersize=4, linewidth=1)
    shares.set_yscale("log")
    shares.yaxis.set_major_formatter("{x:g}")
    shares.set_ylabel("share of all pixels, % (log)", color=theme.second)


def reliability(axes: Axes, evaluation: Evaluation, theme: Theme) -> None:
    """Share of lesion pixels against the probability the model gave them."""
    found = evaluation.calibration
    filled = found.probability_share > 0
    axes.plot([0, 1], [0, 1], color=theme.ink, linewidth=1, linestyle=":", label="perfectly calibrated")
    axes.plot(
        found.mean_probability[filled],
        found.lesion_frequency[filled],
        "o-",
        color=theme.first,
        markersize=5,
        label="model",
    )
    axes.set(xlabel="mean probability of the bin", ylabel="share of lesion pixels", xlim=(0, 1), ylim=(-0.03, 1.03))
    _legend(axes, theme)


def _style(axes: Axes, theme: Theme) -> None:
    axes.set_axisbelow(True)
    axes.grid(True, color=theme.grid, linewidth=0.8)
    axes.tick_params(which="both", colors=theme.ink, labelcolor=theme.ink)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    for side, spine in axes.spines.items():
        spine.set_color(theme.ink)
        spine.set_visible(side in ("left", "bottom"))


def _legend(axes: Axes, theme: Theme) -> None:
    axes.legend(frameon=False, labelcolor=theme.ink)
