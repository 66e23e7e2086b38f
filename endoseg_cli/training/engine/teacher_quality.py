"""How good pseudo-labels are where the truth is known: made for validation frames as for unlabelled ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from endoseg_cli.data.views.datasets import UnlabeledBatch, to_tensor
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.pictures.resize import resize_frame, resize_mask
from endoseg_cli.training.engine.learner import Learner
from endoseg_cli.training.strategies.pseudo_labels import PseudoLabel

MOST_FRAMES = 32
"""Validation frames that are looked at, evenly spread: K passes over all of them would take too long."""
BATCH = 8


def teacher_quality(learner: Learner, frames: FrameStore, step: int) -> dict[str, float]:
    """Return the quality of both networks' pseudo-labels and of the joint one on labelled frames.

    Per teacher 1, 2 and joint: `pseudo_dice_<t>`, mean Dice of the pseudo-label with the truth over the frames;
    `pseudo_wrong_<t>`, share of the kept pixels whose label is wrong; `pseudo_found_<t>`, share of the true lesion's
    pixels that are kept and called lesion (0 if no frame has a lesion). The frames are never learned from.
    """
    sums: dict[str, dict[str, float]] = {}
    count = 0
    for images, masks in _batches(frames, learner.config.size):
        for teacher, label in _teach(learner, images, step).items():
            _add(sums.setdefault(teacher, {}), label, masks.to(learner.device))
        count += len(images)
    return {name: value for teacher, found in sums.items() for name, value in _quality(found, count, teacher)}


def _teach(learner: Learner, images: Tensor, step: int) -> dict[str, PseudoLabel]:
    boxes = torch.zeros(len(images), 1, *images.shape[-2:], dtype=torch.bool)
    batch = UnlabeledBatch(weak_1=images, weak_2=images, strong_1=images, strong_2=images, boxes=boxes)
    views = learner.views(images[:1], batch)  # a teacher wants labelled frames as well
    targets = learner.targets(learner.teach(views, step), boxes[:1])
    assert targets.pseudo is not None
    labels = {"1": targets.pseudo[0], "2": targets.pseudo[1]}
    return labels if targets.joint is None else {**labels, "joint": targets.joint}


def _batches(frames: FrameStore, size: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield uint8 images (B, 3, H, W) and masks (B, 1, H, W) bool."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(MOST_FRAMES, len(frames))).round().astype(int)).tolist()
    for start in range(0, len(chosen), BATCH):
        images, masks = [], []
        for index in chosen[start : start + BATCH]:
            image, mask = frames.read(index)
            assert mask is not None, "validation frames have masks"
            images.append(to_tensor(resize_frame(image, size)))
            masks.append(torch.tensor(resize_mask(mask, size))[None])
        yield torch.stack(images), torch.stack(masks)


def _add(sums: dict[str, float], label: PseudoLabel, truth: Tensor) -> None:
    pixels = (1, 2, 3)
    overlap, total = (label.label & truth).sum(pixels), label.label.sum(pixels) + truth.sum(pixels)
    found = {
        "dice": torch.where(total == 0, 1.0, 2 * overlap / total.clamp(min=1)).sum(),
        "kept": label.certain.sum(),
        "wrong": (label.certain & (label.label != truth)).sum(),
        "lesion": truth.sum(),
        "found": (label.certain & label.label & truth).sum(),
    }
    for name, value in found.items():
        sums[name] = sums.get(name, 0.0) + float(value)


def _quality(sums: dict[str, float], frames: int, teacher: str) -> Iterator[tuple[str, float]]:
    yield f"pseudo_dice_{teacher}", sums["dice"] / frames
    yield f"pseudo_wrong_{teacher}", sums["wrong"] / max(sums["kept"], 1.0)
    yield f"pseudo_found_{teacher}", sums["found"] / max(sums["lesion"], 1.0)
