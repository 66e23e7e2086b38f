from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from endoseg_cli.data.views.augment_config import AugmentConfig, CutMixConfig, StrongViewConfig, WeakViewConfig
from endoseg_cli.data.views.datasets import LabeledBatches, TrainingBatch, TrainingBatches, UnlabeledBatches, draw_order
from endoseg_cli.data.views.frames import FrameStore
from tests.data.drawing import draw_frame, draw_mask, save

SIZE = (32, 40)


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    images = [save(tmp_path / f"{index}.png", draw_frame(index)) for index in range(5)]
    return FrameStore(images, None, size=SIZE)


@pytest.fixture
def labeled(tmp_path: Path) -> FrameStore:
    images = [save(tmp_path / f"l{index}.png", draw_frame(index)) for index in range(3)]
    masks = [save(tmp_path / f"m{index}.png", draw_mask()) for index in range(3)]
    return FrameStore(images, masks, size=SIZE)


def unlabeled_batches(
    store: FrameStore, *, batch_size: int = 4, share: tuple[int, int] = (0, 1), augment: AugmentConfig | None = None
) -> UnlabeledBatches:
    return UnlabeledBatches(
        store, size=SIZE, batch_size=batch_size, seed=3, augment=augment or AugmentConfig(), share=share
    )


def labeled_batches(store: FrameStore, *, share: tuple[int, int] = (0, 1)) -> LabeledBatches:
    return LabeledBatches(store, size=SIZE, batch_size=4, seed=3, augment=AugmentConfig(), share=share)


def equal(first: TrainingBatch, second: TrainingBatch) -> bool:
    pairs = [(first.labeled, second.labeled), (first.unlabeled, second.unlabeled)]
    return all(
        torch.equal(tensor, getattr(other, name))
        for one, other in pairs
        if one is not None
        for name, tensor in vars(one).items()
    )


def test_an_epoch_shows_every_frame_once_and_batches_are_full() -> None:
    keys = [key for step in range(5) for key in draw_order(0, step, 4, 5, "unlabeled")]
    assert len(keys) == 20
    assert sorted(keys) == list(itertools.product(range(4), range(5)))
    assert len(draw_order(0, 0, 7, 3, "labeled")) == 7


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a single core
def test_any_number_of_workers_gives_the_same_batches(store: FrameStore, labeled: FrameStore) -> None:
    batches = TrainingBatches(labeled_batches(labeled), unlabeled_batches(store))
    alone = [batches[step] for step in range(4)]
    shared = list(DataLoader(batches, batch_size=None, sampler=range(4), num_workers=2))
    assert all(equal(first, second) for first, second in zip(alone, shared, strict=True))
    assert not equal(alone[0], alone[1])


def test_the_views_of_a_frame_differ_and_the_two_streams_too(store: FrameStore) -> None:
    batch = unlabeled_batches(store, batch_size=8)[0]
    assert not torch.equal(batch.weak_1, batch.weak_2)
    assert not torch.equal(batch.weak_1, batch.strong_1)
    assert 0 < batch.boxes.flatten(1).any(1).sum() < 8


def test_a_strong_view_moves_no_pixel_of_its_weak_view(store: FrameStore) -> None:
    still = AugmentConfig(strong=StrongViewConfig(probability=0.0, at_least=0), cutmix=CutMixConfig(probability=1.0))
    batch = unlabeled_batches(store, augment=still)[0]
    assert torch.equal(batch.weak_1, batch.strong_1) and torch.equal(batch.weak_2, batch.strong_2)
    assert batch.boxes.flatten(1).any(1).all()


def test_a_frame_that_is_not_moved_is_the_frame(store: FrameStore) -> None:
    still = AugmentConfig(weak=WeakViewConfig(rotate_90=False, horizontal_flip=0, vertical_flip=0, affine=0))
    batch = unlabeled_batches(store, augment=still)[0]
    assert torch.equal(batch.weak_1, batch.weak_2)


def test_shares_make_up_the_batch(store: FrameStore, labeled: FrameStore) -> None:
    whole = TrainingBatches(labeled_batches(labeled), unlabeled_batches(store))[2]
    parts = [
        TrainingBatches(labeled_batches(labeled, share=(n, 2)), unlabeled_batches(store, share=(n, 2)))[2]
        for n in (0, 1)
    ]
    assert torch.equal(whole.labeled.images, torch.cat([part.labeled.images for part in parts]))
    assert whole.unlabeled is not None
    boxes = [part.unlabeled.boxes for part in parts if part.unlabeled is not None]
    assert torch.equal(whole.unlabeled.boxes, torch.cat(boxes))


def test_the_warm_up_reads_no_unlabelled_frames(store: FrameStore, labeled: FrameStore) -> None:
    batches = TrainingBatches(labeled_batches(labeled), unlabeled_batches(store), unlabeled_from=2)
    assert [batches[step].unlabeled is None for step in range(4)] == [True, True, False, False]


def test_the_first_frames_of_a_batch(store: FrameStore, labeled: FrameStore) -> None:
    batch = TrainingBatches(labeled_batches(labeled), unlabeled_batches(store, batch_size=8))[0].first(1)
    assert len(batch.labeled.images) == 1
    assert batch.unlabeled is not None and len(batch.unlabeled.boxes) == 2
