"""Frames that nobody can label: black, washed out, or much blurrier than the rest of their video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np

from endoseg_cli.inference.predict.predictor import Pixels

DARK, BRIGHT = 25, 250
"""Grey levels: darker is the black rim or nothing at all, brighter is a reflection."""
LEAST_SEEN = 0.2
"""Share of the picture that must be lit; an endoscope's round picture in a wide frame fills a third."""
MOST_GLARE = 0.5
"""Share of the lit part that may be glare; reflections on healthy tissue stay far below."""
LEAST_SHARPNESS = 0.1
"""A frame with less than this share of the median sharpness of its video or folder counts as blurred.

Seen on real frames: smooth, sharp mucosa goes down to 0.12; a Gaussian blur of one pixel in 256 gives 0.03 to 0.06.
"""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How much can be seen in a frame."""

    seen: float
    """Share of the picture that is not dark."""
    glare: float
    """Share of that which is white."""
    sharpness: float
    """Variance of the Laplacian over the lit part's grey levels; only frames of one size compare."""


def measure_quality(frame: Pixels) -> Quality:
    """Measure a frame (h, w, 3) RGB."""
    grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    lit = grey >= DARK
    if not lit.any():
        return Quality(seen=0.0, glare=0.0, sharpness=0.0)
    # The rim between picture and black is sharp in every frame; what is inside counts.
    inside = cv2.erode(lit.view(np.uint8), np.ones((5, 5), np.uint8), borderValue=1).view(np.bool_)
    edges = np.asarray(cv2.Laplacian(grey, cv2.CV_32F))
    sharpness = float(edges[inside].var()) if inside.any() else 0.0
    return Quality(seen=float(lit.mean()), glare=float((grey[lit] >= BRIGHT).mean()), sharpness=sharpness)


def are_usable(qualities: Sequence[Quality]) -> list[bool]:
    """Say of each frame of one video or folder whether it shows enough to be labelled."""
    seen = [q.seen >= LEAST_SEEN and q.glare <= MOST_GLARE for q in qualities]
    sharpness = [q.sharpness for q, ok in zip(qualities, seen, strict=True) if ok]
    least = LEAST_SHARPNESS * median(sharpness) if sharpness else 0.0
    return [ok and q.sharpness >= least for q, ok in zip(qualities, seen, strict=True)]
