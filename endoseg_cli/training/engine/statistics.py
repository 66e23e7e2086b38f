"""What to watch while networks teach each other: foreground, what the threshold keeps of it, and their agreement."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from torch import Tensor

from endoseg_cli.training.strategies.objective import Targets
from endoseg_cli.training.strategies.pseudo_labels import PseudoLabel, pseudo_label_agreement, pseudo_label_statistics

WATCHED_STEPS = 20
"""Over how many steps foreground is averaged before it is judged."""
SMALLEST_SHARE = 0.1
"""Pseudo-labels with less than this of the labels' foreground have died out."""

SMALLEST_GRADIENT = 0.005
"""A term whose weighted gradient is a smaller share of the supervised one's is idle."""
SMALLEST_SPREAD = 0.01
"""A bottleneck whose channels have a smaller standard deviation than this has collapsed."""

_STATISTICS = ("foreground", "kept", "agreement", "gradient", "bottleneck_spread")


def step_statistics(targets: Targets) -> dict[str, Tensor]:
    """Return the statistics of one step, scalars on the device; names end in the number of the teaching network.

    `foreground_labels` is the fraction of labelled pixels that are foreground, `foreground_pseudo_<n>` that of the
    pseudo-label, `foreground_kept_<n>` that of the certain pixels; `kept_<n>` is the certain fraction of all pixels,
    `kept_foreground_<n>` that of the pseudo-label's foreground; `agreement` is the Dice of the two foregrounds.
    """
    statistics = {"foreground_labels": targets.masks.float().mean()}
    if targets.pseudo is None:
        return statistics
    for number, label in enumerate(targets.pseudo, start=1):
        statistics |= {f"{name}_{number}": value for name, value in _of_one(label).items()}
    if targets.joint is not None:
        statistics |= {f"{name}_joint": value for name, value in _of_one(targets.joint).items()}
    statistics["agreement"] = pseudo_label_agreement(*targets.pseudo)
    return statistics


def _of_one(label: PseudoLabel) -> dict[str, Tensor]:
    found = pseudo_label_statistics(label)
    certain = label.certain.sum()
    return {
        "foreground_pseudo": found["foreground"],
        "foreground_kept": (label.certain & label.label).sum() / certain.clamp(min=1),
        "kept": found["kept"],
        "kept_foreground": found["kept_foreground"],
    }


class RunningMeans:
    """Means of named values since the last validation; a name that some steps lack is averaged over the others."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Take in the values of one step."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Return the means by name."""
        return {name: total / self.counts[name] for name, total in self.sums.items()}

    def clear(self) -> None:
        """Begin anew."""
        self.sums, self.counts = {}, {}


class IdleWatch:
    """Says of the terms that are on whether they do anything, once for each until it does."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def warnings(self, means: Mapping[str, float], *, is_ramping: bool = False) -> list[str]:
        """Take in the means since the last validation and return what the user should know.

        A term is idle whose value is zero, or that adds less than `SMALLEST_GRADIENT` of the masks' gradient; that is
        not judged while terms do not count in full (`is_ramping`). A bottleneck that no longer varies compares nothing.
        """
        found = dict.fromkeys(_zero_terms(means), "was exactly zero since the last validation")
        found |= {} if is_ramping else _weak_terms(means)
        for name, value in means.items():
            if name.startswith("bottleneck_spread") and value < SMALLEST_SPREAD:
                found[name] = f"is {value:.1e}: the reduced bottleneck hardly varies, and comparing it teaches nothing"
        told, self._told = self._told, set(found)
        return [
            f"{name} {words}" if name.startswith("bottleneck_spread") else f"{name} is on, but {words}"
            for name, words in found.items()
            if name not in told
        ]


def _zero_terms(means: Mapping[str, float]) -> list[str]:
    return [name for name, mean in means.items() if mean == 0.0 and not name.startswith(_STATISTICS)]


def _weak_terms(means: Mapping[str, float]) -> dict[str, str]:
    masks = max((means.get(f"gradient_supervised_{number}", 0.0) for number in (1, 2)), default=0.0)
    shares = {
        name.removeprefix("gradient_"): value / masks
        for name, value in means.items()
        if masks and name.startswith("gradient_")
    }
    return {
        name: f"its gradient is {100 * share:.2g} % of that of the masks"
        for name, share in shares.items()
        if share < SMALLEST_GRADIENT
    }


class CollapseWatch:
    """Says at once when the pseudo-labels' foreground dies out, once for each network until it comes back."""

    def __init__(self) -> None:
        self._steps: deque[Mapping[str, float]] = deque(maxlen=WATCHED_STEPS)
        self._told: set[int] = set()

    def warnings(self, values: Mapping[str, float]) -> list[str]:
        """Take in the statistics of one step and return what the user should know."""
        if "agreement" not in values:
            return []
        self._steps.append(values)
        if len(self._steps) < WATCHED_STEPS:
            return []
        truth = self._mean("foreground_labels")
        found = [self._judge(number, self._mean(f"foreground_pseudo_{number}"), truth) for number in (1, 2)]
        return [warning for warning in found if warning is not None]

    def _judge(self, number: int, share: float, truth: float) -> str | None:
        if truth == 0 or share >= SMALLEST_SHARE * truth:
            self._told.discard(number)
            return None
        if number in self._told:
            return None
        self._told.add(number)
        return (
            f"the foreground of network {number}'s pseudo-labels is dying out: {100 * share:.2f} % of the pixels over"
            f" the last {WATCHED_STEPS} steps, labels have {100 * truth:.2f} %; try --threshold-scope pseudo-class,"
            " a longer --warm-up-steps, or a smaller --unsupervised-weight"
        )

    def _mean(self, name: str) -> float:
        return sum(values[name] for values in self._steps) / len(self._steps)
