"""Lesions pasted into other frames, decoys, colours of others: the mask stays right and no seam tells a lesion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.data.views.augment import random_generator
from endoseg_cli.data.views.augment_config import AugmentConfig
from endoseg_cli.data.views.colour_transfer import in_colours_of
from endoseg_cli.data.views.copy_paste import FEWEST_PIXELS, paste_part
from endoseg_cli.data.views.datasets import LabeledBatches
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.data.views.other_frames import OtherFrames
from endoseg_cli.errors import UsageError
from tests.data.drawing import save

Picture = NDArray[np.uint8]
SIDE = 96
STRIPES = (np.indices((SIDE, SIDE)).sum(axis=0) // 3 % 2 * 60).astype(np.uint8)
"""What tells the lesion's tissue from all other, whatever colours it takes over."""


def lesion_frame() -> tuple[Picture, NDArray[np.bool_]]:
    """A grey frame whose lesion is striped."""
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[30:54, 40:62] = True
    grey = np.full((SIDE, SIDE), 90, np.uint8) + np.where(mask, STRIPES, 0).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2), mask


def flat(colour: Sequence[int]) -> Picture:
    return np.full((SIDE, SIDE, 3), colour, np.uint8)


def is_striped(picture: Picture, where: NDArray[np.bool_]) -> bool:
    return float(picture[where].astype(float).std(axis=0).mean()) > 10


def store(folder: Path, frames: Sequence[tuple[Picture, NDArray[np.bool_] | None]]) -> FrameStore:
    images = [save(folder / f"{index}.png", frame) for index, (frame, _) in enumerate(frames)]
    masks = [
        None if mask is None else save(folder / f"{index}_mask.png", mask.astype(np.uint8) * 255)
        for index, (_, mask) in enumerate(frames)
    ]
    return FrameStore(images, masks, size=(SIDE, SIDE))


def test_a_part_comes_with_its_mask_in_the_colours_of_its_place() -> None:
    frame, mask = lesion_frame()
    target = flat((170, 60, 40))
    seen = set()
    for index in range(40):
        pasted = paste_part(frame, mask, target, random_generator(0, 0, index, "paste"))
        assert pasted is not None
        picture, there = pasted
        assert picture.shape == target.shape and picture.dtype == np.uint8 and there.dtype == np.bool_
        assert is_striped(picture, there) and FEWEST_PIXELS <= there.sum() < SIDE * SIDE / 2
        red, _, blue = picture[there].mean(axis=0)
        assert red > blue + 60, "grey tissue has become as red as its place"
        changed = (picture != target).any(axis=2)
        assert changed[there].mean() > 0.9 and changed.sum() < 4 * there.sum(), "a rim, and no more"
        seen.add(tuple(int(values.mean()) for values in np.nonzero(there)))
    assert len(seen) > 30 and (target == flat((170, 60, 40))).all()


def test_nothing_is_pasted_in_the_dark_or_too_small() -> None:
    frame, mask = lesion_frame()
    speck = np.zeros_like(mask)
    speck[5:7, 5:7] = True
    for index in range(20):
        rng = random_generator(0, 0, index, "paste")
        assert paste_part(frame, mask, flat((5, 5, 5)), rng) is None
        assert paste_part(frame, speck, flat((90, 90, 90)), rng) is None
        assert paste_part(frame, np.zeros_like(mask), flat((90, 90, 90)), rng) is None


def test_lesions_move_into_frames_without_and_decoys_are_no_lesions(tmp_path: Path) -> None:
    frame, mask = lesion_frame()
    noise = np.random.default_rng(0).integers(60, 120, (SIDE, SIDE, 3)).astype(np.uint8)
    frames = store(tmp_path, [(frame, mask), (flat((170, 60, 40)), None), (noise, None)])
    others = OtherFrames(frames, AugmentConfig(copy_paste=0.5))
    counts = {"moved": 0, "left": 0, "decoy": 0, "decoy beside": 0}
    for index in range(120):
        picture, there = others.change(frame, mask, random_generator(0, 0, index, "others"))
        assert is_striped(picture, there), "the mask is where the lesion is"
        if (there == mask).all():
            counts["decoy beside" if (picture != frame).any() else "left"] += 1
            assert (picture[mask] == frame[mask]).all(), "a decoy covers no lesion"
        else:
            counts["moved"] += 1
        plain, none = frames.read(1)
        assert none is not None
        picture, there = others.change(plain, none, random_generator(1, 0, index, "others"))
        assert not there.any()
        counts["decoy"] += bool((picture != plain).any())
    assert 40 < counts["moved"] < 80 and counts["left"] > 15
    assert counts["decoy"] > 30 and counts["decoy beside"] > 3


def test_without_frames_that_are_empty_lesions_are_pasted_beside_others(tmp_path: Path) -> None:
    frame, mask = lesion_frame()
    frames = store(tmp_path, [(frame, mask), (frame[::-1].copy(), mask[::-1].copy())])
    others = OtherFrames(frames, AugmentConfig(copy_paste=1.0))
    found = [others.change(frame, mask, random_generator(0, 0, index, "others"))[1] for index in range(30)]
    assert any(there.sum() > 1.3 * mask.sum() for there in found)


def test_colours_are_taken_over_and_no_pixel_moves() -> None:
    frame, _ = lesion_frame()
    other = np.clip(flat((200, 80, 50)).astype(int) + STRIPES[..., None].astype(int) // 4, 0, 255).astype(np.uint8)
    view = in_colours_of(frame, other)
    assert np.abs(view.mean(axis=(0, 1)) - other.mean(axis=(0, 1))).max() < 12
    grey, was = view.mean(axis=2), frame.mean(axis=2)
    assert np.corrcoef(grey.ravel(), was.ravel())[0, 1] > 0.9 and view.dtype == np.uint8
    assert np.abs(in_colours_of(frame, frame).astype(int) - frame).mean() < 3


def test_batches_are_changed_by_seed_alone_and_only_where_it_is_asked_for(tmp_path: Path) -> None:
    frame, mask = lesion_frame()
    frames = store(tmp_path, [(frame, mask), (flat((170, 60, 40)), None)])
    usual = AugmentConfig(labeled_views="wide")

    def batch(augment: AugmentConfig, step: int) -> bytes:
        batches = LabeledBatches(frames, size=(SIDE, SIDE), batch_size=4, seed=3, augment=augment)
        return batches[step].images.numpy().tobytes()

    changed = replace(usual, copy_paste=1.0, colour_transfer=1.0)
    assert batch(changed, 2) == batch(changed, 2) and batch(usual, 2) != batch(changed, 2)
    assert batch(usual, 1) == batch(replace(usual, copy_paste=0.0), 1)


def test_shares_are_checked() -> None:
    with pytest.raises(UsageError, match=r"augment\.copy_paste must lie between 0 and 1"):
        AugmentConfig(copy_paste=1.5)
    with pytest.raises(UsageError, match=r"augment\.colour_transfer must lie between 0 and 1"):
        AugmentConfig(colour_transfer=-0.1)
