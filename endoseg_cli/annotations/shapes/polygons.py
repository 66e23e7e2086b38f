"""The outline of a region in few points, never more than a pixel off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from endoseg_cli.annotations.shapes.drawing import fill_rings
from endoseg_cli.annotations.shapes.rings import Bitmap, Ring, signed_area, trace_rings

TOLERANCES = (1.25, 0.75)
"""How far, in pixels, points may be from the simplified outline; the next is tried where the mask would suffer."""
EXACT_BELOW = 100
"""Regions of fewer pixels keep every corner: they have few, and other tools' rounding must not swallow them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """A region's rim and those of its holes, in pixels of the picture."""

    outer: Ring
    """Around the region."""
    holes: tuple[Ring, ...]
    """Around what it leaves out."""


def outline(region: Bitmap, left: int = 0, top: int = 0) -> Outline:
    """Outline one 8-connected region, whose crop (h, w) lies at column `left` and row `top` of its picture.

    Filling the outline gives a mask in which no pixel, of the region or of its background, is further than one pixel
    (along rows, columns or diagonals) from where it was. Thin and tiny shapes keep every corner.
    """
    exact = trace_rings(region)
    simpler = _simpler(exact) if region.sum() >= EXACT_BELOW else []
    rings = next((rings for rings in simpler if within_a_pixel(fill_rings(rings, region.shape), region)), exact)
    outer = [ring for ring, traced in zip(rings, exact, strict=True) if signed_area(traced) > 0]
    holes = [ring for ring, traced in zip(rings, exact, strict=True) if signed_area(traced) < 0]
    assert len(outer) == 1, f"one connected region, found {len(outer)}"
    shift = np.array([left, top])
    return Outline(outer=outer[0] + shift, holes=tuple(hole + shift for hole in holes))


def within_a_pixel(one: Bitmap, other: Bitmap) -> bool:
    """Whether each pixel of either mask, and of either background, has its like within one pixel of it in the other."""
    return _covers(one, other) and _covers(other, one)


def keyhole(shape: Outline) -> Ring:
    """Return one ring for tools without holes: lines without width, walked there and back, lead to each hole.

    Holes are joined nearest first, so that the lines stay short and meet no other hole.
    """
    ring, waiting = shape.outer, list(shape.holes)
    while waiting:
        distances = [_nearest(ring, hole) for hole in waiting]
        chosen = int(np.argmin([distance for distance, _, _ in distances]))
        _, at, entry = distances[chosen]
        hole = np.roll(waiting.pop(chosen), -entry, axis=0)
        ring = np.concatenate([ring[: at + 1], hole, hole[:1], ring[at:]])
    return ring


def _simpler(rings: Sequence[Ring]) -> list[list[Ring]]:
    return [[_simplify(ring, tolerance) for ring in rings] for tolerance in TOLERANCES]


def _simplify(ring: Ring, tolerance: float) -> Ring:
    fewer = cv2.approxPolyDP(ring.astype(np.int32)[:, None], tolerance, True)[:, 0]
    return ring if len(fewer) < 3 else fewer.astype(np.float64)


def _covers(one: Bitmap, other: Bitmap) -> bool:
    """Whether `one` lies in the other grown by a pixel, and contains the other shrunk by one."""
    box = np.ones((3, 3), np.uint8)
    padded = np.pad(other, 1).view(np.uint8)
    grown, shrunk = (change(padded, box)[1:-1, 1:-1] > 0 for change in (cv2.dilate, cv2.erode))
    return not (one & ~grown).any() and not (shrunk & ~one).any()


def _nearest(ring: Ring, hole: Ring) -> tuple[float, int, int]:
    """Return the smallest squared distance of two points, and their indices."""
    squared = ((ring[:, None] - hole[None]) ** 2).sum(axis=2)
    at, entry = np.unravel_index(int(np.argmin(squared)), squared.shape)
    return float(squared[at, entry]), int(at), int(entry)
