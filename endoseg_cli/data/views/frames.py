"""Frames and masks as training reads them: from disk each time, or kept in memory once they are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.labels.mask_reader import read_label
from endoseg_cli.errors import InputError
from endoseg_cli.pictures.field_of_view import find_field_of_view
from endoseg_cli.pictures.images import read_image
from endoseg_cli.pictures.resize import resize_frame, resize_mask

Frame = NDArray[np.uint8]  # (h, w, 3) RGB
Mask = NDArray[np.bool_]  # (h, w)


class FrameStore:
    """The frames of a set, and their masks where it has any, by index.

    With `keep`, every file is read once, by threads, and kept shrunk to what a network of `size` = (H, W) can use: no
    side larger than max(H, W). A mask is a picture, or an annotation file; masks are shrunk by nearest neighbour.
    Without `keep`, files are read when asked for. A mask that is None stands for a frame that is known to show no
    lesion. With `crop`, frames and masks are cut to the endoscope's picture first.
    Raises InputError, naming the file, for what cannot be read.
    """

    def __init__(
        self,
        images: Sequence[Path],
        masks: Sequence[Path | None] | None,
        *,
        size: tuple[int, int],
        keep: bool = True,
        crop: bool = False,
    ) -> None:
        assert masks is None or len(masks) == len(images), "one mask for each image"
        self._images = tuple(images)
        self._masks = None if masks is None else tuple(masks)
        self._side, self._crop = max(size), crop
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

    def empty(self) -> list[int]:
        """Return the indices of the frames whose masks, at the size that is kept, hold no lesion."""
        assert self._masks is not None, "frames without masks are neither empty nor not"
        masks = (None if mask is None else self.read(index)[1] for index, mask in enumerate(self._masks))
        return [index for index, mask in enumerate(masks) if mask is None or not mask.any()]

    def _read(self, index: int) -> tuple[Frame, Mask | None]:
        image = read_image(self._images[index])
        path = None if self._masks is None else self._masks[index]
        mask = None if path is None else read_label(self._images[index], path)
        if mask is not None and path is not None and mask.shape != image.shape[:2]:
            raise InputError(
                f"expected a mask of {image.shape[1]}x{image.shape[0]} like its image {self._images[index]}, found"
                f" {mask.shape[1]}x{mask.shape[0]}: {path}",
                hint="endoseg check lists every fault of the data",
            )
        if self._crop:
            box = find_field_of_view(image)
            image = box.crop(image)
            mask = None if mask is None else box.crop(mask)
        size = (min(image.shape[0], self._side), min(image.shape[1], self._side))
        if self._masks is None:
            return resize_frame(image, size), None
        return resize_frame(image, size), np.zeros(size, np.bool_) if mask is None else resize_mask(mask, size)
