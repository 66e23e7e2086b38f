"""From a probability map to a mask, and to what the mask says in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.predict.predictor import Probability, paste_probability
from endoseg_cli.networks.running.entropy import binary_entropy
from endoseg_cli.pictures.field_of_view import FieldOfView, whole_frame
from endoseg_cli.temporal.isolated_frames import FrameFlag

BinaryMask = NDArray[np.bool_]
_SURELY_BELOW = 1 - 1e-5
"""Resizing mixes neighbours, so that nothing exceeds the largest of them by more than rounding."""


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """How probabilities become a mask."""

    threshold: float = 0.5
    """A pixel is lesion where its probability is above this."""
    min_area: int = 0
    """Regions of fewer pixels than this, at the frame's own size, are dropped."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise UsageError(f"--threshold must lie between 0 and 1, found {self.threshold:g}")
        if self.min_area < 0:
            raise UsageError(f"--min-area must not be negative, found {self.min_area}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """What the model says of one frame, at the frame's own upright size."""

    seen: Probability
    """(C, h, w) in [0, 1], at the size that the networks see."""
    mask: BinaryMask
    """(C, H, W)."""
    raw_mask: BinaryMask | None = None
    """The mask before refinement, (C, H, W); None for a frame that was not refined."""
    isolated: tuple[FrameFlag | None, ...] = ()
    """For each class whether its unrefined mask comes or goes in this frame alone; empty for a picture."""
    field_of_view: FieldOfView | None = None
    """What the networks saw of the frame; None for all of it."""

    resized: Probability | None = None
    """`probability`, where the mask needed it already."""

    @property
    def probability(self) -> Probability:
        """At the frame's size, (C, H, W) in [0, 1]; 0 outside the field of view."""
        return _resized(self.seen, self._size, self.field_of_view) if self.resized is None else self.resized

    @property
    def mean_uncertainty(self) -> list[float]:
        """For each class the mean binary entropy in nats over the frame, at the size that the networks see."""
        height, width = self._size
        view = self.field_of_view or whole_frame(height, width)
        share = view.width * view.height / (width * height)  # nothing is unsure outside
        return [float(np.mean(binary_entropy(plane))) * share for plane in self.seen]

    @property
    def _size(self) -> tuple[int, int]:
        return self.mask.shape[1], self.mask.shape[2]

    @property
    def any_class(self) -> BinaryMask:
        """The union of all classes, (H, W)."""
        return np.asarray(self.mask[0] if len(self.mask) == 1 else self.mask.any(axis=0))


@dataclass(frozen=True, kw_only=True)
class RegionFacts:
    """The connected regions of one mask (H, W), in pixels of the frame."""

    pixels: int
    """Foreground pixels."""
    regions: int
    """Number of 8-connected regions."""
    box: tuple[int, int, int, int] | None
    """Left, top, width and height of the largest region; None without any."""
    centroid: tuple[float, float] | None
    """Column and row of the largest region's centre of mass; None without any."""


def segment(
    probability: Probability, size: tuple[int, int], config: MaskConfig, field_of_view: FieldOfView | None = None
) -> Segmentation:
    """Resize probabilities (C, h, w) of a box, or all, of a frame of `size` = (H, W), threshold, and drop specks."""
    if probability.max() <= config.threshold * _SURELY_BELOW:
        empty = np.zeros((len(probability), *size), np.bool_)
        return Segmentation(seen=probability, mask=empty, field_of_view=field_of_view)
    resized = _resized(probability, size, field_of_view)
    mask = resized > config.threshold
    if config.min_area > 1:
        mask = np.stack([drop_specks(plane, config.min_area) for plane in mask])
    return Segmentation(seen=probability, mask=mask, field_of_view=field_of_view, resized=resized)


def _resized(probability: Probability, size: tuple[int, int], view: FieldOfView | None) -> Probability:
    return paste_probability(probability, size, view or whole_frame(*size))


def drop_specks(mask: BinaryMask, min_area: int) -> BinaryMask:
    """Return the mask (H, W) without its 8-connected regions of fewer than `min_area` pixels."""
    if not mask.any():
        return mask
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= min_area
    large[0] = False  # the background
    kept: BinaryMask = large[labels]
    return kept


def region_facts(mask: BinaryMask) -> RegionFacts:
    """Measure the regions of one mask (H, W)."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return RegionFacts(pixels=0, regions=0, box=None, centroid=None)
    window = mask[y : y + height, x : x + width].view(np.uint8)
    count, _, stats, centroids = cv2.connectedComponentsWithStats(window, connectivity=8)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    left, top, box_width, box_height = (int(value) for value in stats[largest, :4])
    pixels = int(stats[1:, cv2.CC_STAT_AREA].sum())
    return RegionFacts(
        pixels=pixels,
        regions=count - 1,
        box=(x + left, y + top, box_width, box_height),
        centroid=(x + float(centroids[largest, 0]), y + float(centroids[largest, 1])),
    )
