"""BatchNorm statistics taken anew over plain frames, for the networks that teach, and those that are scored and kept.

In training they are running averages over the last few small, augmented batches: they differ from step to step by more
than recipes do, and pseudo-labels suffer. Frames without masks serve as well as labelled ones here, and show what the
networks will meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from endoseg_cli.data.views.datasets import to_tensor
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.pictures.resize import resize_frame

BatchNorm = (nn.BatchNorm2d, nn.SyncBatchNorm)
"""Layers with running statistics, in one process and in several."""
BATCH = 32
"""Frames whose statistics are taken together, about; their mean over all batches is kept."""
TEACHER_FRAMES = 128
"""At most so many frames for the statistics of teachers, which are taken more often."""


def settled(network: UNet, batches: Iterable[Tensor]) -> UNet:
    """Return a copy of a network, in eval mode, with the BatchNorm statistics of `batches`; the network is not changed.

    Batches are pictures (B, 3, H, W) as the network takes them. Dropout is off, and every batch counts the same.
    """
    copy, like = UNet(network.config), next(network.parameters())
    copy.to(like.device, like.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    copy.load_state_dict(network.state_dict())
    copy.eval()
    norms = [module for module in copy.modules() if isinstance(module, BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
        norm.train()
    with torch.inference_mode():
        for images in batches:
            copy(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return copy.eval()


def settle_teacher(network: UNet, batches: Iterable[Tensor]) -> None:
    """Give a network that teaches the BatchNorm statistics of `batches`, as `settled` does."""
    network.load_state_dict(settled(network, batches).state_dict())


def hold_statistics(network: UNet) -> None:
    """Keep the running statistics as they are, whatever the network is trained on from now on."""
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.momentum = 0.0


def plain_batches(
    stores: Sequence[FrameStore], count: int, size: tuple[int, int], normalise: Callable[[Tensor], Tensor]
) -> Iterator[Tensor]:
    """Yield at most `count` frames, evenly spread over all `stores`, resized to `size` = (H, W), in even batches."""
    frames = [(store, index) for store in stores for index in range(len(store))]
    frames = frames * 2 if len(frames) == 1 else frames  # one value per channel has no variance
    count = min(max(count, 2), len(frames))
    chosen = [frames[place * len(frames) // count] for place in range(count)]
    for part in np.array_split(np.arange(count), -(-count // BATCH)):
        pictures = [chosen[place][0].read(chosen[place][1])[0] for place in part]
        yield normalise(torch.stack([to_tensor(resize_frame(picture, size)) for picture in pictures]))
