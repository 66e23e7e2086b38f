"""Start an encoder from a state dict on disk, or a whole network from a model file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from endoseg_cli.errors import MissingInputError, WeightsError
from endoseg_cli.networks.architecture.unet import UNet, UNetConfig
from endoseg_cli.networks.files.bundle import load_bundle

# Parts of an ImageNet classifier that a U-Net has no use for.
_CLASSIFIER_PREFIXES = ("fc.", "classifier.", "features.18.", "conv_head.", "bn2.")

# timm's mobilenetv2_100: blocks of each stage, and where torchvision has the layers of a block.
_STAGE_BLOCKS = (1, 2, 3, 4, 3, 3, 1)
_FIRST_BLOCK = {"conv_dw": "0.0", "bn1": "0.1", "conv_pw": "1", "bn2": "2"}
_OTHER_BLOCKS = {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "conv_pwl": "2", "bn3": "3"}


def load_encoder_weights(network: UNet, path: Path) -> None:
    """Load a torchvision- or timm-named state dict (.safetensors, or .pth read with weights_only) into the encoder.

    Raises MissingInputError if there is no such file, WeightsError if it cannot be read or does not fit the encoder.
    """
    encoder = network.config.encoder
    found_state = _from_timm(_read_state(path)) if encoder == "mobilenet_v2" else _read_state(path)
    state = {name: tensor for name, tensor in found_state.items() if not name.endswith("num_batches_tracked")}
    own = network.encoder.state_dict()
    wanted = {name for name in own if not name.endswith("num_batches_tracked")}
    extra = [name for name in state if name not in wanted and not name.startswith(_CLASSIFIER_PREFIXES)]
    missing = sorted(wanted - set(state))
    hint = f"give a state dict of torchvision's or timm's {encoder}"
    if missing or extra:
        found = f"lacks {len(missing)} tensors, first {missing[0]}" if missing else f"has an unknown tensor {extra[0]}"
        raise WeightsError(f"{path} does not fit the encoder {encoder}: it {found}", hint=hint)
    for name in sorted(wanted):
        if state[name].shape != own[name].shape:
            found_shape, shape = tuple(state[name].shape), tuple(own[name].shape)
            raise WeightsError(f"{path}: tensor {name} has shape {found_shape}, expected {shape}", hint=hint)
        own[name].copy_(state[name])


def load_network_weights(network: UNet, number: int, path: Path) -> None:
    """Load network `number` (from 0) of a model file, or the other one where that alone has the same architecture.

    Raises WeightsError if none has.
    """
    bundle = load_bundle(path)
    fitting = [one for one in bundle.networks if one.config == network.config]
    if not fitting:
        raise WeightsError(
            f"{path} holds another architecture: {_differences(bundle.card.architecture, network.config)}",
            hint="give --encoder and --decoder-channels as that model has them",
        )
    own = bundle.networks[number % len(bundle.networks)]
    network.load_state_dict((own if own in fitting else fitting[0]).state_dict())


def _differences(found: UNetConfig, expected: UNetConfig) -> str:
    pairs = ((field.name, getattr(found, field.name), getattr(expected, field.name)) for field in fields(UNetConfig))
    return ", ".join(f"{name} {mine} instead of {wanted}" for name, mine, wanted in pairs if mine != wanted)


def _from_timm(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return timm's mobilenetv2_100 under torchvision's names; its ResNets have these names already."""
    if "conv_stem.weight" not in state:
        return state
    return {_torchvision_name(name): tensor for name, tensor in state.items()}


def _torchvision_name(name: str) -> str:
    for stem, place in (("conv_stem.", "features.0.0."), ("bn1.", "features.0.1.")):
        if name.startswith(stem):
            return place + name.removeprefix(stem)
    if not name.startswith("blocks."):
        return name
    _, stage, block, layer, parameter = name.split(".")
    index = 1 + sum(_STAGE_BLOCKS[: int(stage)]) + int(block)
    places = _FIRST_BLOCK if index == 1 else _OTHER_BLOCKS
    return f"features.{index}.conv.{places.get(layer, layer)}.{parameter}"


def _read_state(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise MissingInputError(f"no encoder weights at {path}", hint="check the path given to --encoder-weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        hint = "fetch or copy it again"
        raise WeightsError(f"{path} cannot be read as a state dict: {reason}", hint=hint) from error
    except Exception as error:  # pickle.UnpicklingError and whatever a hostile or damaged pickle makes torch raise
        raise WeightsError(f"{path} is not a plain state dict", hint="save it as .safetensors") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} is not a plain state dict", hint="save the model's state_dict() alone")
    return state
