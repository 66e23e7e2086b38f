"""What a labelled frame takes from others of its set before it is moved: a place for its lesion, and colours."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.views.augment_config import AugmentConfig
from endoseg_cli.data.views.colour_transfer import in_colours_of
from endoseg_cli.data.views.copy_paste import paste_part
from endoseg_cli.data.views.frames import FrameStore

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

TRIES = 3
"""Frames that are tried as a place for a lesion; a dark one, or one too small, has none."""
DECOY_BESIDE = 0.5
"""How often a decoy is pasted beside a lesion, as a share of how often one is pasted where there is none."""


class OtherFrames:
    """Copy-paste and colour transfer among the labelled frames of a set."""

    def __init__(self, frames: FrameStore, augment: AugmentConfig) -> None:
        """Looks through all masks where there is something to paste."""
        self._frames, self._augment = frames, augment
        self._empty: list[int] = []
        self._lesions: list[int] = []
        if augment.copy_paste:
            self._empty = frames.empty()
            self._lesions = sorted(set(range(len(frames))) - set(self._empty))

    def change(self, frame: Picture, mask: Mask, rng: np.random.Generator) -> tuple[Picture, Mask]:
        """Return a frame (h, w, 3) with its mask (h, w), or another frame in its place that now has its lesion."""
        if self._augment.copy_paste and self._lesions:
            frame, mask = self._pasted(frame, mask, rng) if mask.any() else (self._with_decoy(frame, mask, rng), mask)
        if rng.random() < self._augment.colour_transfer:
            other, _ = self._frames.read(int(rng.integers(len(self._frames))))
            frame = in_colours_of(frame, other)
        return frame, mask

    def _pasted(self, frame: Picture, mask: Mask, rng: np.random.Generator) -> tuple[Picture, Mask]:
        share = self._augment.copy_paste
        drawn = rng.random()
        if drawn >= share:
            beside = drawn < share + DECOY_BESIDE * share and self._empty
            return (self._with_decoy(frame, mask, rng, always=True), mask) if beside else (frame, mask)
        for _ in range(TRIES):
            place, there = self._one_of(self._empty or self._lesions, rng)
            pasted = paste_part(frame, mask, place, rng)
            if pasted is not None:
                return pasted[0], pasted[1] | there
        return frame, mask

    def _with_decoy(self, frame: Picture, mask: Mask, rng: np.random.Generator, *, always: bool = False) -> Picture:
        """Return a frame with normal tissue of another one in the shape of a lesion, off its own lesion."""
        if not self._empty or (not always and rng.random() >= self._augment.copy_paste):
            return frame
        source, _ = self._one_of(self._empty, rng)
        _, lesion = self._one_of(self._lesions, rng)
        size = (source.shape[1], source.shape[0])
        shape = cv2.resize(lesion.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        pasted = paste_part(source, shape, frame, rng)
        if pasted is None or ((pasted[0] != frame).any(axis=2) & mask).any():  # its rim counts too
            return frame
        return pasted[0]

    def _one_of(self, pool: list[int], rng: np.random.Generator) -> tuple[Picture, Mask]:
        frame, mask = self._frames.read(pool[int(rng.integers(len(pool)))])
        assert mask is not None, "labelled frames have masks"
        return frame, mask
