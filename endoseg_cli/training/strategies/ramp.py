"""How the weight of the unsupervised terms grows: supervised warm-up first, then the paper's ramp-up."""

from __future__ import annotations

import math


def ramp_up(progress: float) -> float:
    """Return exp(-5 (1 - progress)^2), with `progress` held within [0, 1] (Endo-SemiS, lambda).

    It starts at exp(-5) = 0.0067, not at 0, as in the paper, and ends at 1.
    """
    return math.exp(-5.0 * (1.0 - min(max(progress, 0.0), 1.0)) ** 2)


def unsupervised_weight(step: int, *, warm_up_steps: int, ramp_steps: int, maximum: float = 0.5) -> float:
    """Return lambda at a step counted from 0: zero in the warm-up, then the ramp-up over `ramp_steps` to `maximum`.

    The paper has no warm-up, ramps up over the first five epochs and holds lambda within an epoch (`epoch_weight`). The
    warm-up keeps networks from teaching each other before they have learned anything.
    """
    if step < warm_up_steps:
        return 0.0
    return maximum * ramp_up((step - warm_up_steps) / ramp_steps if ramp_steps > 0 else 1.0)


def epoch_weight(epoch: int, *, ramp_epochs: int = 5, maximum: float = 0.5) -> float:
    """Return the paper's lambda(e) = 0.5 exp(-5 (1 - min(e, 5) / 5)^2), the epoch e counted from 0."""
    return unsupervised_weight(epoch, warm_up_steps=0, ramp_steps=ramp_epochs, maximum=maximum)
