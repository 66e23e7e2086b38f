"""The corrective network on a device: encodes a frame once, fuses windows of frames into corrected probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from endoseg_cli.errors import DeviceError
from endoseg_cli.inference.predict.predictor import Pixels, Probability
from endoseg_cli.networks.files.bundle import IMAGENET_MEAN, IMAGENET_STD
from endoseg_cli.networks.running.normalise import Normaliser
from endoseg_cli.networks.running.presence import demand_presence

Features = TypeVar("Features")


class WindowNetwork(Protocol[Features]):
    """What a corrective network can do; simple ones of no weights can be put in its place."""

    def encode(self, images: Tensor, probability: Tensor, uncertainty: Tensor) -> Features:
        """Take in frames (B, 3, H, W) normalised as for ImageNet, and their maps (B, C, H, W)."""

    def fuse(self, window: Sequence[Features], centre: int, offsets: Sequence[float]) -> Tensor:
        """Return corrected logits (B, C, H, W) of frame `centre`; offsets in frames of 25 fps, 0 for the centre."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictedFrame:
    """A frame at the model's input size, and what the networks said about it."""

    picture: Pixels
    """(h, w, 3) RGB."""
    probability: Probability
    """(C, h, w)."""
    uncertainty: Probability | None
    """(C, h, w) in nats; None where no corrective network asks for it."""
    time: float
    """Timestamp in seconds."""


class Corrector(Generic[Features]):
    """A corrective network, ready to correct on a device; raises DeviceError where memory or precision fall short."""

    def __init__(
        self,
        network: WindowNetwork[Features],
        *,
        window: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        presence: float = 0.0,
    ) -> None:
        """`presence` is demanded of corrected regions too: neighbours must not bring back what was taken back."""
        assert window % 2 == 1, "a window has a centre"
        self.window = window
        self._network, self._device, self._dtype, self._presence = network, device, dtype, presence
        self._normalise = Normaliser(IMAGENET_MEAN, IMAGENET_STD, device)

    @torch.inference_mode()
    def encode(self, frame: PredictedFrame) -> Features:
        """Return what the windows of this frame and its neighbours need of it."""
        assert frame.uncertainty is not None, "the predictor gives uncertainties where frames are refined"
        picture = torch.from_numpy(frame.picture).to(self._device).permute(2, 0, 1)
        maps = [torch.from_numpy(each).to(self._device)[None] for each in (frame.probability, frame.uncertainty)]
        image = self._normalise(picture)[None].contiguous(memory_format=torch.channels_last)
        try:
            with self._autocast():
                return self._network.encode(image, maps[0], maps[1])
        except torch.OutOfMemoryError as error:
            raise self._out_of_memory() from error

    @torch.inference_mode()
    def fuse(self, window: Sequence[Features], centre: int, offsets: Sequence[float]) -> Probability:
        """Return the corrected probabilities (C, h, w) of one frame of a window."""
        try:
            with self._autocast():
                logits = self._network.fuse(window, centre, offsets)
        except torch.OutOfMemoryError as error:
            raise self._out_of_memory() from error
        probability: Probability = torch.sigmoid(logits.float())[0].cpu().numpy()
        if not np.isfinite(probability).all():  # it would read as "no lesion"
            raise DeviceError(
                f"the corrective network gives numbers that are not finite on {self._device} in {self._dtype}",
                hint="use --precision fp32, or --refine off",
            )
        demanded: Probability = demand_presence(probability[None], self._presence)[0]
        return demanded

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, dtype=self._dtype, enabled=self._dtype != torch.float32)

    def _out_of_memory(self) -> DeviceError:
        return DeviceError(
            f"the memory of {self._device} does not suffice for the corrective network",
            hint="use --refine off, a smaller --batch-size, or --device cpu",
        )
