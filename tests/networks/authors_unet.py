"""The authors' U-Net written a second time: functional calls driven by parameter names, and random state dicts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

State = dict[str, Tensor]
DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


def random_state(
    encoder: str = "resnet18", *, widths: tuple[int, ...] = (16, 12, 8, 8, 4), classes: int = 1, reducer: bool = True
) -> State:
    """Return a random state dict with the names of segmentation_models_pytorch 0.4, as torch.save would get it."""
    state: State = {}
    _conv_bn(state, "encoder.conv1", "encoder.bn1", 3, 64, 7)
    channels = [64]
    for number, (depth, width) in enumerate(zip(DEPTHS[encoder], (64, 128, 256, 512), strict=True), start=1):
        channels.append(_stage(state, f"encoder.layer{number}", channels[-1], width, depth, encoder == "resnet50"))
    below = channels[-1]
    for number, (skip, width) in enumerate(zip([*channels[-2::-1], 0], widths, strict=True)):
        block = f"decoder.blocks.{number}"
        _conv_bn(state, f"{block}.conv1.0", f"{block}.conv1.1", below + skip, width, 3)
        _conv_bn(state, f"{block}.conv2.0", f"{block}.conv2.1", width, width, 3)
        below = width
    _conv(state, "segmentation_head.0", below, classes, 3, bias=True)
    if reducer:
        top = channels[-1]
        _conv_bn(state, "bottleneck_reducer.0", "bottleneck_reducer.1", top, top // 2, 1)
        state["bottleneck_reducer.0.bias"] = torch.zeros(top // 2)
        _conv(state, "bottleneck_reducer.3", top // 2, top // 4, 1, bias=True)
    return state


def authors_logits(state: State, x: Tensor) -> Tensor:
    """Return logits (B, C, H, W) of normalised pictures (B, 3, H, W), H and W multiples of 32, in eval mode."""
    features = [
        functional.relu(_bn(state, "encoder.bn1", functional.conv2d(x, state["encoder.conv1.weight"], None, 2, 3)))
    ]
    x = functional.max_pool2d(features[0], 3, 2, 1)
    for number in range(1, 5):
        x = _run_stage(state, f"encoder.layer{number}", x, 1 if number == 1 else 2)
        features.append(x)
    skips = features[-2::-1]
    for number in range(5):
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        if number < len(skips):
            x = torch.cat([x, skips[number]], dim=1)
        for conv in ("conv1", "conv2"):
            name = f"decoder.blocks.{number}.{conv}"
            x = functional.relu(_bn(state, f"{name}.1", functional.conv2d(x, state[f"{name}.0.weight"], padding=1)))
    return functional.conv2d(x, state["segmentation_head.0.weight"], state["segmentation_head.0.bias"], padding=1)


def _run_stage(state: State, stage: str, x: Tensor, stride: int) -> Tensor:
    number = 0
    while f"{stage}.{number}.conv1.weight" in state:
        block = f"{stage}.{number}"
        step = stride if number == 0 else 1
        shortcut = x
        if f"{block}.downsample.0.weight" in state:
            shortcut = _bn(
                state, f"{block}.downsample.1", functional.conv2d(x, state[f"{block}.downsample.0.weight"], None, step)
            )
        # the stride sits in the first 3x3 convolution
        strided = "conv2" if f"{block}.conv3.weight" in state else "conv1"
        convs = [name for name in ("conv1", "conv2", "conv3") if f"{block}.{name}.weight" in state]
        for name in convs:
            weight = state[f"{block}.{name}.weight"]
            x = functional.conv2d(x, weight, None, step if name == strided else 1, weight.shape[-1] // 2)
            x = _bn(state, f"{block}.bn{name[-1]}", x)
            x = functional.relu(x if name != convs[-1] else x + shortcut)
        number += 1
    return x


def _bn(state: State, name: str, x: Tensor) -> Tensor:
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return functional.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-5)


def _stage(state: State, stage: str, channels: int, width: int, depth: int, bottleneck: bool) -> int:
    out = width * 4 if bottleneck else width
    for number in range(depth):
        block = f"{stage}.{number}"
        sizes = [(channels, width, 1), (width, width, 3), (width, out, 1)]
        sizes = sizes if bottleneck else [(channels, width, 3), (width, out, 3)]
        for index, (before, after, size) in enumerate(sizes, start=1):
            _conv_bn(state, f"{block}.conv{index}", f"{block}.bn{index}", before, after, size)
        if number == 0 and (channels != out or not stage.endswith("layer1")):
            _conv_bn(state, f"{block}.downsample.0", f"{block}.downsample.1", channels, out, 1)
        channels = out
    return out


def _conv(state: State, name: str, before: int, after: int, size: int, *, bias: bool = False) -> None:
    state[f"{name}.weight"] = torch.randn(after, before, size, size) * (2 / (before * size * size)) ** 0.5
    if bias:
        state[f"{name}.bias"] = torch.randn(after) * 0.1


def _conv_bn(state: State, conv: str, bn: str, before: int, after: int, size: int) -> None:
    _conv(state, conv, before, after, size)
    state[f"{bn}.weight"] = torch.rand(after) * 0.4 + 0.6
    state[f"{bn}.bias"] = torch.randn(after) * 0.1
    state[f"{bn}.running_mean"] = torch.randn(after) * 0.1
    state[f"{bn}.running_var"] = torch.rand(after) + 0.5
    state[f"{bn}.num_batches_tracked"] = torch.tensor(7)
