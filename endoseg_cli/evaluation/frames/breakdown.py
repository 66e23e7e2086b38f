"""Where a model is good and where it is not: by folder or patient, and by size of the lesion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from endoseg_cli.errors import UsageError
from endoseg_cli.evaluation.frames.metrics import FrameScore, Summary, summarise


@dataclass(frozen=True, kw_only=True)
class SizeBounds:
    """Borders between small, medium and large lesions, as shares of the frame's pixels.

    The defaults are a choice of this project: 2 % of a 512 x 512 frame is a disc 82 pixels across (a lesion easily
    overlooked), 10 % one 183 pixels across (a lesion that fills the view of a close look).
    """

    small_below: float = 0.02
    """A lesion that covers less than this share of the frame is small."""
    large_above: float = 0.10
    """A lesion that covers more than this share of the frame is large; one in between is medium."""

    def __post_init__(self) -> None:
        bounds = (self.small_below, self.large_above)
        if not all(math.isfinite(bound) for bound in bounds) or not 0 < self.small_below <= self.large_above < 1:
            raise UsageError(
                f"--size-bounds needs two rising shares between 0 and 1, found {bounds[0]} and {bounds[1]}",
                hint="for example --size-bounds 0.02 0.10",
            )

    def size_of(self, score: FrameScore) -> str:
        """Return "no lesion", "small", "medium" or "large"."""
        if not score.present:
            return "no lesion"
        if score.lesion_fraction < self.small_below:
            return "small"
        return "large" if score.lesion_fraction > self.large_above else "medium"


SIZES = ("small", "medium", "large", "no lesion")
"""Order in which sizes are shown."""


def by_group(scores: Sequence[FrameScore]) -> dict[str, Summary]:
    """Summarise each folder, patient or centre on its own, in order of name."""
    groups: dict[str, list[FrameScore]] = {}
    for score in scores:
        groups.setdefault(score.group, []).append(score)
    return {group: summarise(groups[group]) for group in sorted(groups)}


def by_size(scores: Sequence[FrameScore], bounds: SizeBounds) -> dict[str, Summary]:
    """Summarise small, medium and large lesions and frames without one; a size without frames is left out."""
    sizes: dict[str, list[FrameScore]] = {size: [] for size in SIZES}
    for score in scores:
        sizes[bounds.size_of(score)].append(score)
    return {size: summarise(members) for size, members in sizes.items() if members}
