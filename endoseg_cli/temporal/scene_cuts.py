"""Where a video jumps to another scene: two neighbouring frames that share neither colours nor structure."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

CUT_SCORE = 0.70
"""From this difference on two frames are of different scenes.

Measured at 25 fps on 8 phantom clips of both scenes with their blur, bubbles and wash-out, and 2 real clips: 2 of 1,021
pairs of neighbours lie above (an overexposed fold sweeps over half of the picture in one frame), as do 99 % of 4,420
pairs of frames from different clips or different PolypGen stills.
"""
_SIDE = 48
_CORE = 32  # of one frame, looked for in the other: the camera may turn by a sixth of the picture
_DETAIL = 5.0  # sigma in pixels: brightness and shading change slower than this and do not count as structure
_EVEN = 3.0  # grey levels: less is noise, not structure
_COLOUR_LEVELS = 6
_COLOUR_WEIGHT = 0.8
_COLOUR_LIMIT = 1.5  # of the structure's difference


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneLook:
    """What a frame looks like, for comparison with the next one."""

    structure: NDArray[np.float32]
    """Grey picture (48, 48) without its slow changes of brightness."""
    colours: NDArray[np.float32]
    """Share of the pixels in each of 6 x 6 x 6 colours."""


def look_at(picture: NDArray[np.uint8]) -> SceneLook:
    """Summarise a frame (H, W, 3) uint8 RGB; takes a fraction of a millisecond."""
    small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.float32)
    structure = np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), _DETAIL), dtype=np.float32)
    levels = [_COLOUR_LEVELS] * 3
    counts = np.asarray(cv2.calcHist([small], [0, 1, 2], None, levels, [0, 256] * 3), dtype=np.float32)
    return SceneLook(structure=structure, colours=counts.ravel() / np.float32(_SIDE * _SIDE))


def scene_difference(before: SceneLook, after: SceneLook) -> float:
    """Return how different two frames are: 0 for the same picture, about 1 for two scenes.

    Structure counts as the same wherever in the other frame it is found, so that a shaking camera changes little. A
    blur loses structure but keeps colours; a wash-out changes colours, which count for little where structure is kept.
    """
    likeness = max(_likeness(before.structure, after.structure), _likeness(after.structure, before.structure))
    other_structure = 1 - likeness
    other_colours = 1 - float(np.minimum(before.colours, after.colours).sum())
    return other_structure + min(_COLOUR_WEIGHT * other_colours, _COLOUR_LIMIT * other_structure)


class SceneCuts:
    """Finds the scene cuts of one video as its frames come.

    A frame without any structure (a covered lens, a lamp that is off, a blank frame) begins no scene; what comes after
    it is compared with what came before.
    """

    def __init__(self) -> None:
        self._last: SceneLook | None = None

    def begins(self, picture: NDArray[np.uint8]) -> bool:
        """Take the next frame (H, W, 3) RGB; return whether another scene begins with it."""
        look, last = look_at(picture), self._last
        if _is_even(look.structure):
            return False
        self._last = look
        return last is not None and scene_difference(last, look) >= CUT_SCORE


def _likeness(picture: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the best correlation of the core of `other` with any place in `picture`; without structure it is 1."""
    border = (_SIDE - _CORE) // 2
    core = other[border : border + _CORE, border : border + _CORE]
    if _is_even(picture) or _is_even(core):
        return 1.0
    return float(np.max(cv2.matchTemplate(picture, core, cv2.TM_CCOEFF_NORMED)))


def _is_even(structure: NDArray[np.float32]) -> bool:
    return float(np.abs(structure).max()) < _EVEN
