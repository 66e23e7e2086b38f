"""Small frames, networks and runs for the tests of training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from endoseg_cli.data.views.augment_config import AugmentConfig, CutMixConfig
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.networks.architecture.unet import UNet, UNetConfig
from endoseg_cli.training.engine.feed import TrainingData
from endoseg_cli.training.engine.records import RunListener
from endoseg_cli.training.engine.trainer import Trainer
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.strategies.mutual_learning import PAPER_FORM
from tests.data.drawing import draw_frame, draw_mask, save

SIZE = (32, 32)
NETWORK = UNetConfig(encoder="mobilenet_v2", decoder_channels=(8, 8, 8, 8, 8))
CONFIG = TrainConfig(
    encoder="mobilenet_v2",
    decoder_channels=(8, 8, 8, 8, 8),
    encoder_weights="none",
    size=SIZE,
    batch_size=2,
    max_steps=6,
    validate_every=3,
    warm_up_steps=1,
    ramp_steps=2,
    num_passes=2,
    threshold_scope="image",
    min_confidence=0.5,
    dice_weight=0.0,
    learning_rate=1e-3,
    labeled_cross=True,
    certainty="own",
    reduction="all",
    unsupervised_weight=0.5,
    logit_weight=0.1,
    mutual_form=PAPER_FORM,
)
"""The paper's strategies, small."""


def save_frames(folder: Path, count: int, seed: int = 0) -> tuple[list[Path], list[Path]]:
    """Draw frames and masks, brighter inside the mask, and return their paths."""
    images, masks = [], []
    for index in range(count):
        mask = draw_mask(radius=6 + index)
        frame = np.where(mask[..., None] > 0, 230, draw_frame(seed + index) // 2).astype(np.uint8)
        images.append(save(folder / "images" / f"{index}.png", frame))
        masks.append(save(folder / "masks" / f"{index}.png", mask))
    return images, masks


def make_data(folder: Path, *, labeled: int = 3, unlabeled: int = 5, val: int = 2) -> TrainingData:
    """Draw the frames of a run."""
    frames = FrameStore(*save_frames(folder / "l", labeled), size=SIZE)
    validation = FrameStore(*save_frames(folder / "v", val, 50), size=SIZE)
    more = FrameStore(save_frames(folder / "u", unlabeled, 100)[0], None, size=SIZE) if unlabeled else None
    return TrainingData(labeled=frames, validation=validation, unlabeled=more)


def make_trainer(
    data: TrainingData, folder: Path, config: TrainConfig = CONFIG, listener: RunListener | None = None
) -> Trainer:
    """Return a trainer on the CPU whose checkpoints go to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return Trainer(config, data, folder=folder, device=torch.device("cpu"), listener=listener)


def boxed(config: TrainConfig, probability: float) -> TrainConfig:
    """Return the config with another share of frames that get a CutMix box."""
    return replace(config, augment=AugmentConfig(cutmix=CutMixConfig(probability=probability)))


def make_network(seed: int, *, double: bool = False) -> UNet:
    """Return a small network, with BatchNorm statistics that are not the initial ones."""
    torch.manual_seed(seed)
    network = UNet(NETWORK)
    if double:
        network = network.double()
    with torch.no_grad():
        network.train()(torch.randn(4, 3, *SIZE, dtype=next(network.parameters()).dtype))
    return network
