"""Frames and masks as training reads them: from disk each time, or kept in memory once they are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.augment import resize_frame, resize_mask
from endoseg_cli.data.images import read_image
from endoseg_cli.data.labels import read_label

Frame = NDArray[np.uint8]  # (h, w, 3) RGB
Mask = NDArray[np.bool_]  # (h, w)


class FrameStore:
    """The frames of a set, and their masks where it has any, by index.

    With `keep`, every file is read once, by threads, and kept shrunk to what a network of `size` = (H, W) can use: no
    side larger than max(H, W). A mask is a picture, or an annotation file; masks are shrunk by nearest neighbour.
    Without `keep`, files are read when asked for.
    Raises InputError, naming the file, for what cannot be read.
    """

    def __init__(
        self, images: Sequence[Path], masks: Sequence[Path] | None, *, size: tuple[int, int], keep: bool = True
    ) -> None:
        assert masks is None or len(masks) == len(images), "one mask for each image"
        self._images = tuple(images)
        self._masks = None if masks is None else tuple(masks)
        self._side = max(size)
        self._kept: list[tuple[Frame, Mask | None]] | None = None
        if keep:
            with ThreadPoolExecutor() as threads:
                self._kept = list(threads.map(self._read, range(len(images))))

    def __len__(self) -> int:
        return len(self._images)

    def path(self, index: int) -> Path:
        """Return the file a frame came from."""
        return self._images[index]

    def read(self, index: int) -> tuple[Frame, Mask | None]:
        """Return a frame (h, w, 3) uint8 RGB and its mask (h, w) bool, or None for a set without masks."""
        return self._read(index) if self._kept is None else self._kept[index]

    def _read(self, index: int) -> tuple[Frame, Mask | None]:
        image = read_image(self._images[index])
        size = (min(image.shape[0], self._side), min(image.shape[1], self._side))
        if self._masks is None:
            return resize_frame(image, size), None
        mask = read_label(self._images[index], self._masks[index])
        return resize_frame(image, size), resize_mask(mask, size)
