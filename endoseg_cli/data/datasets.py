"""Batches by step: what step s trains on follows from (seed, s) alone, for any number of workers and after a resume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from endoseg_cli.data.augment import random_generator, weak_view
from endoseg_cli.data.augment_config import AugmentConfig
from endoseg_cli.data.frames import FrameStore
from endoseg_cli.data.photometric import colour_jitter


@dataclass(frozen=True, kw_only=True)
class LabeledBatch:
    """Labelled frames and their masks, augmented."""

    images: Tensor
    """(B, 3, H, W) uint8 RGB."""
    masks: Tensor
    """(B, C, H, W) uint8, 0 or 1."""
    indices: Tensor
    """(B,) positions in the labelled set, to name the files when something goes wrong."""

    def pin_memory(self) -> LabeledBatch:
        """Return the batch in page-locked memory, which copies to a GPU while it computes."""
        return LabeledBatch(
            images=self.images.pin_memory(), masks=self.masks.pin_memory(), indices=self.indices.pin_memory()
        )


def draw_order(seed: int, step: int, batch_size: int, count: int, stream: str) -> list[tuple[int, int]]:
    """Return the (pass, index) keys of one batch: the set is walked in a new random order in every pass.

    Batches are always full: where a pass ends within a batch, the next pass fills it, and a set smaller than the batch
    is walked several times, each time with other augmentations (the pass is part of their key).
    """
    places = [divmod(position, count) for position in range(step * batch_size, (step + 1) * batch_size)]
    orders = {
        walk: random_generator(seed, walk, 0, f"order-{stream}").permutation(count) for walk in {w for w, _ in places}
    }
    return [(walk, int(orders[walk][place])) for walk, place in places]


class LabeledBatches(Dataset[LabeledBatch]):
    """Item s is the labelled batch of step s: weak views, and colour jitter where it is switched on."""

    def __init__(
        self, frames: FrameStore, *, size: tuple[int, int], batch_size: int, seed: int, augment: AugmentConfig
    ) -> None:
        assert len(frames) > 0, "a labelled set has at least one frame"
        self._frames, self._size, self._batch_size = frames, size, batch_size
        self._seed, self._augment = seed, augment

    def __getitem__(self, step: int) -> LabeledBatch:
        keys = draw_order(self._seed, step, self._batch_size, len(self._frames), "labeled")
        views = [self._view(walk, index) for walk, index in keys]
        return LabeledBatch(
            images=torch.stack([image for image, _ in views]),
            masks=torch.stack([mask for _, mask in views]),
            indices=torch.tensor([index for _, index in keys]),
        )

    def _view(self, walk: int, index: int) -> tuple[Tensor, Tensor]:
        frame, mask = self._frames.read(index)
        assert mask is not None, "labelled frames have masks"
        rng = random_generator(self._seed, walk, index, "labeled")
        image, moved = weak_view(frame, mask, self._size, rng, self._augment.weak)
        image = colour_jitter(image, rng, self._augment.colour_jitter)
        assert moved is not None
        return to_tensor(image), torch.from_numpy(moved.astype(np.uint8))[None]


def to_tensor(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """Return an image (H, W, 3) uint8 as a tensor (3, H, W) uint8."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
