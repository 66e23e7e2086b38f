from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from endoseg_cli.data.views.augment_config import AugmentConfig, WeakViewConfig
from endoseg_cli.data.views.datasets import LabeledBatch, LabeledBatches, draw_order, to_tensor
from endoseg_cli.data.views.frames import FrameStore
from tests.data.drawing import draw_frame, draw_mask, save

SIZE = (32, 48)
STILL = AugmentConfig(weak=WeakViewConfig(rotate_90=False, horizontal_flip=0, vertical_flip=0, affine=0))


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    """Five frames with a disc each."""
    images = [save(tmp_path / f"{i}.png", draw_frame(i)) for i in range(5)]
    masks = [save(tmp_path / f"{i}-mask.png", draw_mask(radius=6 + i)) for i in range(5)]
    return FrameStore(images, masks, size=SIZE)


def batches(
    store: FrameStore, seed: int = 0, batch_size: int = 4, augment: AugmentConfig | None = None
) -> LabeledBatches:
    return LabeledBatches(store, size=SIZE, batch_size=batch_size, seed=seed, augment=augment or AugmentConfig())


def same(one: LabeledBatch, other: LabeledBatch) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("images", "masks"))


def test_a_batch_holds_frames_and_masks(store: FrameStore) -> None:
    batch = batches(store)[0]
    assert batch.images.shape == (4, 3, *SIZE) and batch.images.dtype == torch.uint8
    assert batch.masks.shape == (4, 1, *SIZE) and set(batch.masks.flatten().tolist()) <= {0, 1}


def test_without_augmentation_a_batch_is_the_frames_themselves(store: FrameStore) -> None:
    batch = batches(store, augment=STILL)[0]
    indices = [index for _, index in draw_order(0, 0, 4, 5, "labeled")]
    for image, mask, index in zip(batch.images, batch.masks, indices, strict=True):
        frame, truth = store.read(index)
        assert truth is not None and image.shape == (3, *SIZE)
        assert abs(image.float().mean().item() - frame.mean()) < 3
        assert mask.float().mean().item() == pytest.approx(truth.mean(), abs=0.02)


def test_a_step_follows_from_seed_and_step_alone(store: FrameStore) -> None:
    first = [batches(store)[step] for step in (0, 1, 7)]
    again = [batches(store)[step] for step in (7, 1, 0)]
    assert all(same(a, b) for a, b in zip(first, reversed(again), strict=True))
    assert not same(first[0], first[1]) and not same(batches(store, seed=1)[0], first[0])


def test_a_copy_in_another_process_would_give_the_same(store: FrameStore) -> None:
    copy = pickle.loads(pickle.dumps(batches(store)))
    assert all(same(copy[step], batches(store)[step]) for step in (3, 0, 2))


def test_reading_leaves_the_stored_frames_alone(store: FrameStore) -> None:
    before = [store.read(index)[0].copy() for index in range(5)]
    for step in range(4):
        batches(store, augment=STILL)[step].images.zero_()
        batches(store)[step].masks.zero_()
    assert all(np.array_equal(store.read(index)[0], frame) for index, frame in enumerate(before))


@pytest.mark.parametrize(("batch_size", "count"), [(4, 5), (5, 5), (3, 12), (7, 3), (1, 1)])
def test_every_pass_takes_every_frame_once_and_batches_are_full(batch_size: int, count: int) -> None:
    steps = 3 * count
    keys = [draw_order(9, step, batch_size, count, "labeled") for step in range(steps)]
    assert all(len(batch) == batch_size for batch in keys)
    walks = Counter(key for batch in keys for key in batch)
    whole = steps * batch_size // count
    assert all(walks[walk, index] == 1 for walk in range(whole) for index in range(count))


def test_passes_and_streams_have_orders_of_their_own() -> None:
    orders = [[index for _, index in draw_order(0, step, 50, 50, "labeled")] for step in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    assert draw_order(0, 0, 50, 50, "labeled") != draw_order(0, 0, 50, 50, "unlabeled")
    assert draw_order(0, 0, 50, 50, "labeled") != draw_order(1, 0, 50, 50, "labeled")


def test_a_frame_that_comes_twice_in_a_batch_is_augmented_twice(tmp_path: Path) -> None:
    image, mask = save(tmp_path / "a.png", draw_frame(0)), save(tmp_path / "m.png", draw_mask())
    batch = batches(FrameStore([image], [mask], size=SIZE), batch_size=6)[0]
    assert len({tuple(one.flatten().tolist()) for one in batch.images}) > 2


def test_a_set_without_frames_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        batches(FrameStore([], [], size=SIZE))


def test_pixels_become_channels_first() -> None:
    image = draw_frame(3)
    tensor = to_tensor(image[:, ::-1])
    assert tensor.shape == (3, *image.shape[:2]) and tensor[2, 5, 0].item() == image[5, -1, 2]
