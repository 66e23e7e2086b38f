"""Frames whose mask comes or goes for a single frame: the rule of Endo-SemiS's corrective network on R_n."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

FrameFlag = Literal["false_positive", "false_negative"]


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
