"""Networks as they predict fastest."""

from __future__ import annotations

import torch

from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.running.fusion import fuse_for_prediction
from endoseg_cli.networks.running.inner_padding import pad_inside


def prepared(network: UNet, device: torch.device, *, reshape: bool = True) -> UNet:
    """Return a copy of a network that predicts the same on a device, up to rounding, and cannot be trained.

    BatchNorm is folded, and tensors lie channels last. With `reshape`, on a CPU, the decoder upsamples by transposed
    convolutions and the encoder pads inside its kernels: less time in torch and in OpenVINO, more in ONNX Runtime; on
    GPUs it was not measured (examples/performance.md).
    """
    reshape = reshape and device.type == "cpu"
    copy = fuse_for_prediction(network)
    copy.transpose_upsampling(on=reshape)
    if reshape:
        copy = pad_inside(copy)
    return copy.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
