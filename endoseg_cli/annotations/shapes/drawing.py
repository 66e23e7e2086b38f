"""Rings to masks: a pixel is inside where its centre is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from endoseg_cli.annotations.shapes.rings import Bitmap, Ring


def fill_rings(rings: Sequence[Ring], size: tuple[int, int]) -> Bitmap:
    """Return the mask, `size` = (H, W), of rings filled by the even-odd rule: a ring within a ring is a hole.

    A line that is walked there and back encloses nothing; what lies outside the picture is cut off.
    """
    flips = np.zeros((size[0], size[1] + 1), dtype=np.uint8)
    for ring in rings:
        _flip_at_edges(flips, ring)
    return np.bitwise_xor.accumulate(flips[:, :-1], axis=1).view(np.bool_)


def draw_ring(mask: Bitmap, ring: Ring) -> None:
    """Add a filled ring to a mask (H, W), in place."""
    low = np.clip(np.floor(ring.min(axis=0)), 0, (mask.shape[1], mask.shape[0])).astype(int)
    high = np.clip(np.ceil(ring.max(axis=0)), 0, (mask.shape[1], mask.shape[0])).astype(int)
    if (high > low).all():
        window = mask[low[1] : high[1], low[0] : high[0]]
        window |= fill_rings([ring - low], (window.shape[0], window.shape[1]))


def _flip_at_edges(flips: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], ring: Ring) -> None:
    """Mark, in every row whose middle an edge of the ring crosses, the first pixel whose centre lies behind it."""
    rows, columns = flips.shape[0], flips.shape[1] - 1
    (x, y), (next_x, next_y) = ring.T, np.roll(ring, -1, axis=0).T
    first = np.clip(np.ceil(np.minimum(y, next_y) - 0.5), 0, rows).astype(int)
    count = np.clip(np.ceil(np.maximum(y, next_y) - 0.5), 0, rows).astype(int) - first
    edge = np.repeat(np.arange(len(ring)), count)
    row = first[edge] + np.arange(len(edge)) - (np.cumsum(count) - count)[edge]
    crossing = x[edge] + (row + 0.5 - y[edge]) * (next_x - x)[edge] / (next_y - y)[edge]
    column = np.clip(np.ceil(crossing - 0.5), 0, columns).astype(int)
    np.bitwise_xor.at(flips, (row, column), np.uint8(1))
