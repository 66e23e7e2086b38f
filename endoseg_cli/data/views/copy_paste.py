"""Copy-paste: lesions in frames that had none, and decoys, so that neither place nor seam tells a lesion.

After Ghiasi et al. (CVPR 2021), which pastes objects as they are. Not in Endo-SemiS. Frames without a lesion often come
from other hospitals than those with one; a network that learns from both may learn to tell the hospitals. Here lesions
are pasted into them, in the colours of the place and with a soft rim, and as often normal tissue in a lesion's shape is
pasted likewise, which is no lesion.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

MARGIN = 12
"""Pixels around the part that come along, for its rim."""
SCALE = (0.6, 1.4)
"""Smallest and largest factor of the part's size."""
MOST_OF_SIDE = 0.75
"""Share of the target's shorter side that a part fills at most."""
FEWEST_PIXELS = 60
"""Smaller parts are not pasted: nobody could tell what they are."""
RIM = (2.0, 4.0)
"""Smallest and largest standard deviation of the soft rim, in pixels."""
AROUND = 15
"""Width of the band, in pixels, whose colours the part takes over."""
BRIGHTNESS = (40.0, 235.0)
"""Mean grey level of places where something may be pasted: neither in the dark nor in a reflection."""
TRIES = 10
"""How often a place is looked for."""


def paste_part(source: Picture, shape: Mask, target: Picture, rng: np.random.Generator) -> tuple[Picture, Mask] | None:
    """Paste what `source` (h, w, 3) shows within `shape` (h, w) into `target` (H, W, 3), at a random place.

    The part is turned by quarter turns, scaled, and takes over the mean colour around its new place. Returns the new
    picture (H, W, 3) and where the part lies in it (H, W), None where no place was found or the part is too small.
    """
    cut = _cut_out(source, shape, target.shape[:2], rng)
    if cut is None:
        return None
    part, inside = cut
    place = _find_place(inside, target, rng)
    if place is None:
        return None
    under = target[place]
    around = (cv2.dilate(inside.view(np.uint8), np.ones((AROUND, AROUND), np.uint8)) > 0) & ~inside
    if not around.any():
        return None
    part = _in_colours_of(part, under, around, rng.uniform(0.8, 1))
    share = _soft(inside, rng.uniform(*RIM))[..., None]
    pasted, mask = target.copy(), np.zeros(target.shape[:2], np.bool_)
    pasted[place] = np.rint(part * share + under * (1 - share)).astype(np.uint8)
    mask[place] = inside
    return pasted, mask


def _cut_out(
    source: Picture, shape: Mask, room: tuple[int, ...], rng: np.random.Generator
) -> tuple[Picture, Mask] | None:
    """Return the part with its margin, and where in it the shape is, turned and scaled to fit `room`."""
    rows, columns = np.nonzero(shape)
    if not len(rows):
        return None
    top, left = max(int(rows.min()) - MARGIN, 0), max(int(columns.min()) - MARGIN, 0)
    box = np.s_[top : int(rows.max()) + MARGIN + 1, left : int(columns.max()) + MARGIN + 1]
    turns = int(rng.integers(4))
    part, inside = (np.ascontiguousarray(np.rot90(each[box], turns)) for each in (source, shape.view(np.uint8)))
    factor = min(rng.uniform(*SCALE), MOST_OF_SIDE * min(room) / max(inside.shape))
    size = (max(round(inside.shape[1] * factor), 1), max(round(inside.shape[0] * factor), 1))
    scaled = np.asarray(cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST), np.uint8) > 0
    if np.count_nonzero(scaled) < FEWEST_PIXELS:
        return None
    smooth = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, size, interpolation=smooth), np.uint8), scaled


def _find_place(inside: Mask, target: Picture, rng: np.random.Generator) -> tuple[slice, slice] | None:
    height, width = inside.shape
    for _ in range(TRIES):
        top = int(rng.integers(target.shape[0] - height + 1))
        left = int(rng.integers(target.shape[1] - width + 1))
        place = np.s_[top : top + height, left : left + width]
        if BRIGHTNESS[0] < target[place][inside].mean() < BRIGHTNESS[1]:
            return place
    return None


def _in_colours_of(part: Picture, under: Picture, around: Mask, share: float) -> Picture:
    """Move the part's colours (CIE Lab) by `share` of what its surroundings differ from those it comes to."""
    own = cv2.cvtColor(part, cv2.COLOR_RGB2LAB).astype(np.float32)
    there = cv2.cvtColor(np.ascontiguousarray(under), cv2.COLOR_RGB2LAB)
    own += (there[around].mean(axis=0) - own[around].mean(axis=0)) * share
    return np.asarray(cv2.cvtColor(np.rint(own.clip(0, 255)).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)


def _soft(inside: Mask, sigma: float) -> NDArray[np.float32]:
    """Return how much of each pixel is the part's: 1 within, falling to 0 before the edge of its box."""
    grown = cv2.dilate(inside.view(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
    share = np.asarray(cv2.GaussianBlur(grown, (0, 0), sigma), np.float32)
    ramp = [np.minimum(np.minimum(np.arange(side), np.arange(side)[::-1]) / 4, 1) for side in inside.shape]
    return share * np.outer(*ramp).astype(np.float32)
