"""Masks that come or go for a moment: the rule of Endo-SemiS's corrective network on R_n, in frames and in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

FrameFlag = Literal["false_positive", "false_negative"]
SHORT_RUN = 0.2
"""Seconds that a run of frames must be shorter than to be taken for a failure; a single frame is one at any rate."""
MOST_FRAMES_A_RUN = 64
"""Frames after which a run is long whatever its timestamps say, so that broken clocks cost no memory."""
_ROUNDING = 1e-6


def flag_frame(before: int | None, here: int, after: int | None) -> FrameFlag | None:
    """Judge a frame by its foreground pixels R_n and those of the frames before and after it in the same scene.

    A false-positive frame has R_n > 0 while R_{n-1} = R_{n+1} = 0, a false-negative frame R_n = 0 while both are > 0
    (Endo-SemiS, corrective network). Where a neighbour is missing (None), nothing can be said.
    """
    if before is None or after is None or (before > 0) != (after > 0) or (here > 0) == (before > 0):
        return None
    return "false_positive" if here > 0 else "false_negative"


def flag_scene(pixels: Sequence[int]) -> list[FrameFlag | None]:
    """Judge all frames of one scene by their foreground pixels."""
    around = [None, *pixels, None]
    return [flag_frame(before, here, after) for before, here, after in zip(around, pixels, around[2:], strict=False)]


def flag_in_run(pixels: Sequence[int], times: Sequence[float], index: int) -> tuple[FrameFlag | None, bool]:
    """Judge frame `index` of one scene by the run of frames with (or without) foreground that it lies in.

    The rule of `flag_frame` made independent of the frame rate: a run that other frames enclose is flagged if it is a
    single frame or lasts less than SHORT_RUN seconds, from its first frame to the first one after it. `times` are
    seconds; frames before index 0 count as unknown. Returns the flag, and whether frames yet to come cannot change it.
    """
    inside = pixels[index] > 0
    first = index
    while first > 0 and (pixels[first - 1] > 0) == inside:
        first -= 1
        if _is_long(first, index, times):
            return None, True
    if first == 0:
        return None, True
    last = index
    while last + 1 < len(pixels) and (pixels[last + 1] > 0) == inside:
        last += 1
        if _is_long(first, last, times):
            return None, True
    after = last + 1
    if after == len(pixels):
        return None, False
    if after - first > 1 and _is_long(first, after, times):
        return None, True
    return ("false_positive" if inside else "false_negative"), True


def _is_long(first: int, after: int, times: Sequence[float]) -> bool:
    """Return whether a run lasts too long that begins with one frame and goes on at least to just before another."""
    return times[after] - times[first] > SHORT_RUN - _ROUNDING or after - first >= MOST_FRAMES_A_RUN
