"""A training step as one writes it first, with which the learner's own is compared; the numbers are the same."""

from __future__ import annotations

import torch
from torch import Tensor

from endoseg_cli.data.views.cutmix import paste_box
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.training.engine.learner import Learner
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.shared.precision import at_least_float32
from endoseg_cli.training.strategies.dropout import split_factors
from endoseg_cli.training.strategies.teacher import TeacherMaps, TeacherViews


class PlainLearner(Learner):
    """Keeps pictures as (B, 3, H, W) in memory, works on one network after the other, upsamples and then convolves,
    and shares nothing of teachers' passes: each of them is a whole forward pass."""

    def __init__(self, config: TrainConfig, *, device: torch.device) -> None:
        super().__init__(config, device=device)
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None
        for network in (*self.networks, *self.averages):
            network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            network.transpose_upsampling(on=False)

    def normalise(self, images: Tensor) -> Tensor:
        """Return uint8 images (B, 3, H, W) as floats, normalised, on the device, in the order of their axes."""
        return self.scaled(images.to(self.device).contiguous())

    def ask(self, network: UNet, views: TeacherViews, dropout_1: Tensor, dropout_2: Tensor) -> TeacherMaps:
        """Return what a teacher says."""
        return plain_schedule(network, views, dropout_1, dropout_2)


@torch.no_grad()
def plain_schedule(network: UNet, views: TeacherViews, dropout_1: Tensor, dropout_2: Tensor) -> TeacherMaps:
    """Return what `teach` returns, by a whole forward pass for each of the K passes over w1 and over w2."""
    network.eval()

    def one_pass(pictures: Tensor, factors: Tensor) -> Tensor:
        height, width = pictures.shape[-2:]
        features = network.encode(pictures)
        masks = split_factors(factors.to(features[-1].dtype), network.config)
        return torch.sigmoid(at_least_float32(network.decode(features, masks)[..., :height, :width]))

    first = torch.stack([one_pass(views.weak_1, factors) for factors in dropout_1])
    second = torch.stack([one_pass(views.weak_2, factors) for factors in dropout_2])
    whole = len(views.boxed) == len(views.weak_1)
    return TeacherMaps(
        passes=paste_box(first, second, views.boxes),
        labeled=torch.sigmoid(at_least_float32(network(views.labeled))),
        other_passes=paste_box(second, first, views.boxes) if whole else None,
    )
