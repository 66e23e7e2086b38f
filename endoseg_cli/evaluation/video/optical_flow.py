"""Motion between two frames, and what a map of one frame looks like moved to the other."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Flow = NDArray[np.float32]
Map = NDArray[np.float32]


def grey(picture: NDArray[np.uint8]) -> Grey:
    """Return a picture (H, W, 3) RGB in grey."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def flow_between(at: Grey, source: Grey) -> Flow:
    """Return for each pixel of `at` how far away in `source` it is found, (H, W, 2) in pixels; dense inverse search."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    start = np.zeros((*at.shape, 2), np.float32)
    if min(at.shape) < 16:  # too small for its patches
        return start
    return np.asarray(search.calc(at, source, start), dtype=np.float32)


def warp(values: Map, flow: Flow) -> Map:
    """Move a map (H, W) of the source frame to the frame that `flow` starts from; what came from outside is 0."""
    rows, columns = np.indices(values.shape, dtype=np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    moved = cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(moved, dtype=np.float32)


def warp_mask(mask: NDArray[np.bool_], flow: Flow) -> NDArray[np.bool_]:
    """Move a mask (H, W) likewise."""
    return warp(mask.astype(np.float32), flow) > 0.5
