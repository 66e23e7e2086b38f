"""Networks as they predict fastest."""

from __future__ import annotations

import torch

from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.running.fusion import fuse_for_prediction
from endoseg_cli.networks.running.merged_upsampling import merge_upsampling


def prepared(network: UNet, device: torch.device, *, merge: bool = True) -> UNet:
    """Return a copy of a network that predicts the same on a device, up to rounding, and cannot be trained.

    BatchNorm is folded, tensors lie channels last and, with `merge`, the decoder upsamples by transposed convolutions
    on a CPU: an eighth less time there in torch, a sixth in OpenVINO, 6 % more in ONNX Runtime, on GPUs not measured.
    """
    copy = fuse_for_prediction(network)
    if merge and device.type == "cpu":
        copy = merge_upsampling(copy)
    return copy.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
