"""Which frames stand beside a frame in its window, whatever the frame rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

TRAINING_RATE = 25
"""Frames per second of the clips that corrective networks learn from; offsets count in units of its interval."""
SHORTEST_STEP = 2 / (3 * TRAINING_RATE)
"""Seconds that neighbours in a window lie apart at least: every frame up to 37 fps, every second one at 60."""
LONGEST_STEP = 1.0
"""Seconds after which the next frame is taken for another scene: what was seen before the pause says little of it."""
MOST_FRAMES_A_STEP = 8
"""Frames after which the next one is taken however close its timestamp is, so that broken clocks cost no memory."""
_ROUNDING = 1e-6


def neighbours(times: Sequence[float], centre: int, count: int, direction: Literal[-1, 1]) -> list[int]:
    """Return up to `count` frames before (-1) or after (1) frame `centre`, nearest first, by their times in seconds.

    Each lies at least SHORTEST_STEP from the one before it, or MOST_FRAMES_A_STEP frames; fewer are returned where the
    times end.
    """
    found: list[int] = []
    last = index = centre
    while len(found) < count and 0 <= index + direction < len(times):
        index += direction
        apart = abs(times[index] - times[last])
        if apart >= SHORTEST_STEP - _ROUNDING or abs(index - last) >= MOST_FRAMES_A_STEP:
            found.append(index)
            last = index
    return found


def offset(time: float, centre: float) -> float:
    """Return a frame's distance from the centre of the window, both in seconds, in intervals of the training rate."""
    return (time - centre) * TRAINING_RATE
