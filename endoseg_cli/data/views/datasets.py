"""Batches by step: what step s trains on follows from (seed, s) alone, for any number of workers and after a resume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Self, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from endoseg_cli.data.views.augment import random_generator, weak_view
from endoseg_cli.data.views.augment_config import AugmentConfig
from endoseg_cli.data.views.cutmix import box_mask, sample_cutmix_box
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.data.views.photometric import colour_jitter, strong_view
from endoseg_cli.data.views.wide_view import wide_view

Picture = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Key = tuple[int, int]  # (pass over the set, index in the set)
Batch = TypeVar("Batch")


@dataclass(frozen=True, kw_only=True)
class _Tensors:
    """A batch of named tensors."""

    def pin_memory(self) -> Self:
        """Return the batch in page-locked memory, which copies to a GPU while it computes."""
        return type(self)(**{field.name: getattr(self, field.name).pin_memory() for field in fields(self)})

    def first(self, count: int) -> Self:
        """Return the first `count` frames of the batch."""
        return type(self)(**{field.name: getattr(self, field.name)[:count] for field in fields(self)})


@dataclass(frozen=True, kw_only=True)
class LabeledBatch(_Tensors):
    """Labelled frames and their masks, augmented."""

    images: Tensor
    """(B, 3, H, W) uint8 RGB."""
    masks: Tensor
    """(B, C, H, W) uint8, 0 or 1."""


@dataclass(frozen=True, kw_only=True)
class UnlabeledBatch(_Tensors):
    """The views of unlabelled frames (Endo-SemiS, weak view, strong view, CutMix); nothing is pasted yet."""

    weak_1: Tensor
    """w1, (B, 3, H, W) uint8 RGB."""
    weak_2: Tensor
    """w2, (B, 3, H, W) uint8 RGB."""
    strong_1: Tensor
    """s1, colours of w1 changed, no pixel moved."""
    strong_2: Tensor
    """s2, colours of w2 changed, no pixel moved."""
    boxes: Tensor
    """CutMix boxes, (B, 1, H, W) bool, all False for a frame without one."""


@dataclass(frozen=True, kw_only=True)
class TrainingBatch:
    """What one step trains on."""

    labeled: LabeledBatch
    """Labelled frames."""
    unlabeled: UnlabeledBatch | None = None
    """Unlabelled frames, where the step uses any."""

    def pin_memory(self) -> TrainingBatch:
        """Return the batch in page-locked memory."""
        unlabeled = None if self.unlabeled is None else self.unlabeled.pin_memory()
        return TrainingBatch(labeled=self.labeled.pin_memory(), unlabeled=unlabeled)

    def first(self, count: int) -> TrainingBatch:
        """Return the first `count` labelled frames and as large a share of the unlabelled ones."""
        if self.unlabeled is None:
            return TrainingBatch(labeled=self.labeled.first(count))
        share = max(len(self.unlabeled.boxes) * count // len(self.labeled.images), 1)
        return TrainingBatch(labeled=self.labeled.first(count), unlabeled=self.unlabeled.first(share))


def draw_order(seed: int, step: int, batch_size: int, count: int, stream: str) -> list[Key]:
    """Return the (pass, index) keys of one batch: the set is walked in a new random order in every pass.

    Batches are always full: where a pass ends within a batch, the next pass fills it, and a set smaller than the batch
    is walked several times, each time with other augmentations (the pass is part of their key).
    """
    places = [divmod(position, count) for position in range(step * batch_size, (step + 1) * batch_size)]
    orders = {
        walk: random_generator(seed, walk, 0, f"order-{stream}").permutation(count) for walk in {w for w, _ in places}
    }
    return [(walk, int(orders[walk][place])) for walk, place in places]


class _Batches(Dataset[Batch]):
    """Item s is the batch of step s, of the frames whose keys `draw_order` gives.

    `share` = (rank, ranks) gives every ranks-th part of the batch, in order, to one of several processes.
    """

    _stream: ClassVar[str]

    def __init__(
        self,
        frames: FrameStore,
        *,
        size: tuple[int, int],
        batch_size: int,
        seed: int,
        augment: AugmentConfig,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        assert len(frames) > 0, "a set has at least one frame"
        self._frames, self._size, self._batch_size = frames, size, batch_size
        self._seed, self._augment, self._share = seed, augment, share

    def keys(self, step: int) -> list[Key]:
        """Return the (pass, index) keys of the whole batch of a step."""
        return draw_order(self._seed, step, self._batch_size, len(self._frames), self._stream)

    def _own_keys(self, step: int) -> Sequence[Key]:
        return share_of(self.keys(step), self._share)


class LabeledBatches(_Batches[LabeledBatch]):
    """Item s is the labelled batch of step s: weak views, and colour jitter where it is switched on."""

    _stream = "labeled"

    def __init__(
        self,
        frames: FrameStore,
        *,
        size: tuple[int, int],
        batch_size: int,
        seed: int,
        augment: AugmentConfig,
        share: tuple[int, int] = (0, 1),
        empty_share: float | None = None,
    ) -> None:
        """With `empty_share`, this share of every batch, rounded, is of frames without a lesion, the rest of others."""
        super().__init__(frames, size=size, batch_size=batch_size, seed=seed, augment=augment, share=share)
        self._pools: tuple[list[int], list[int]] | None = None
        if empty_share is not None:
            empty = frames.empty()
            self._pools = (sorted(set(range(len(frames))) - set(empty)), empty)
            self._empty_count = round(empty_share * batch_size)

    def keys(self, step: int) -> list[Key]:
        """Return the (pass, index) keys of the whole batch of a step, empty frames spread evenly over it."""
        if self._pools is None:
            return super().keys(step)
        counts = (self._batch_size - self._empty_count, self._empty_count)
        placed: list[tuple[float, Key]] = []
        for kind, pool, count in zip(("lesion", "empty"), self._pools, counts, strict=True):
            if count:
                drawn = draw_order(self._seed, step, count, len(pool), f"{self._stream}-{kind}")
                placed += [((place + 0.5) / count, (walk, pool[index])) for place, (walk, index) in enumerate(drawn)]
        return [key for _, key in sorted(placed)]

    def __getitem__(self, step: int) -> LabeledBatch:
        views = [self._view(walk, index) for walk, index in self._own_keys(step)]
        return LabeledBatch(
            images=torch.stack([image for image, _ in views]), masks=torch.stack([mask for _, mask in views])
        )

    def _view(self, walk: int, index: int) -> tuple[Tensor, Tensor]:
        frame, mask = self._frames.read(index)
        assert mask is not None, "labelled frames have masks"
        rng = random_generator(self._seed, walk, index, "labeled")
        if self._augment.labeled_views == "wide":
            image, moved = wide_view(frame, mask, self._size, rng)
        else:
            image, turned = weak_view(frame, mask, self._size, rng, self._augment.weak)
            image = colour_jitter(image, rng, self._augment.colour_jitter)
            assert turned is not None
            moved = turned
        return to_tensor(image), torch.from_numpy(moved.astype(np.uint8))[None]


class UnlabeledBatches(_Batches[UnlabeledBatch]):
    """Item s holds the two weak views, the two strong views and the CutMix box of each unlabelled frame of step s.

    Every draw comes from its own stream of (seed, pass, index), so that no view depends on another.
    """

    _stream = "unlabeled"

    def __getitem__(self, step: int) -> UnlabeledBatch:
        rows = [self._views(walk, index) for walk, index in self._own_keys(step)]
        weak_1, weak_2, strong_1, strong_2, boxes = (torch.stack(column) for column in zip(*rows, strict=True))
        return UnlabeledBatch(weak_1=weak_1, weak_2=weak_2, strong_1=strong_1, strong_2=strong_2, boxes=boxes)

    def _views(self, walk: int, index: int) -> tuple[Tensor, ...]:
        frame, _ = self._frames.read(index)

        def draws(stream: str) -> np.random.Generator:
            return random_generator(self._seed, walk, index, stream)

        weak = [weak_view(frame, None, self._size, draws(f"weak-{n}"), self._augment.weak)[0] for n in (1, 2)]
        strong = [strong_view(view, draws(f"strong-{n}"), self._augment.strong) for n, view in enumerate(weak, start=1)]
        box = sample_cutmix_box(self._size, draws("cutmix"), self._augment.cutmix)
        return (*(to_tensor(view) for view in (*weak, *strong)), box_mask(box, self._size))


class TrainingBatches(Dataset[TrainingBatch]):
    """Item s is the whole batch of step s; before step `unlabeled_from` it has no unlabelled frames (warm-up)."""

    def __init__(self, labeled: LabeledBatches, unlabeled: UnlabeledBatches | None, *, unlabeled_from: int = 0) -> None:
        self.labeled, self.unlabeled = labeled, unlabeled
        self._unlabeled_from = unlabeled_from

    def __getitem__(self, step: int) -> TrainingBatch:
        wanted = self.unlabeled is not None and step >= self._unlabeled_from
        unlabeled = self.unlabeled[step] if self.unlabeled is not None and wanted else None
        return TrainingBatch(labeled=self.labeled[step], unlabeled=unlabeled)


def share_of(keys: Sequence[Key], share: tuple[int, int]) -> Sequence[Key]:
    """Return the part of a batch that process `share[0]` of `share[1]` works on; the parts are of equal size."""
    rank, ranks = share
    assert len(keys) % ranks == 0, "a batch is shared out evenly"
    size = len(keys) // ranks
    return keys[rank * size : (rank + 1) * size]


def to_tensor(image: Picture) -> Tensor:
    """Return an image (H, W, 3) uint8 as a tensor (3, H, W) uint8."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
