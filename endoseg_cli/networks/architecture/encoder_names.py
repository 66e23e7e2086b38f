"""The encoders by name; imports nothing heavy, so that the command line can list them."""

from __future__ import annotations

from typing import Literal, get_args

EncoderName = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "mobilenet_v2",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
]
ENCODER_NAMES: tuple[EncoderName, ...] = get_args(EncoderName)
