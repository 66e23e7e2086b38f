"""Turn the authors' released checkpoints (PyTorch state dicts, one per network) into a model file."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from endoseg_cli.errors import MissingInputError, UsageError, WeightsError
from endoseg_cli.networks.architecture.corrective import MOST_SIDE
from endoseg_cli.networks.architecture.encoder_names import EncoderName
from endoseg_cli.networks.architecture.unet import UNet, UNetConfig
from endoseg_cli.networks.files.bundle import Bundle, ModelCard

State = Mapping[str, Tensor]
_TRAINING_KEYS = ("model1_state_dict", "model2_state_dict")
_SINGLE_KEYS = ("model_state_dict", "state_dict", "model")
# number of blocks in layer3, and whether they have a third convolution
_RESNETS: dict[tuple[int, bool], EncoderName] = {(2, False): "resnet18", (6, False): "resnet34", (6, True): "resnet50"}


def import_checkpoints(
    paths: Sequence[Path], *, side: int, name: str = "imported", licence: str | None = None
) -> Bundle:
    """Read one or two networks from the authors' checkpoints; `side` is the side of the square they were trained on.

    A file holds one state dict, or a training checkpoint with both. Parameter names are those of
    segmentation_models_pytorch 0.4 (Endo-SemiS, "Networks"). Nothing in the files is executed.
    Raises MissingInputError if a file is not there, WeightsError if it is not such a checkpoint.
    """
    if not 32 <= side <= MOST_SIDE:
        raise UsageError(f"--size must be 32 to {MOST_SIDE}, found {side}")
    found = [(path, state) for path in paths for state in _states(path)]
    if len(found) not in (1, 2):
        raise UsageError(f"a model holds 1 or 2 networks, found {len(found)} in {len(paths)} files")
    configs = [architecture_of(state, path) for path, state in found]
    if configs[0] != configs[-1]:
        raise WeightsError(f"both networks must be alike, found {configs[0]} and {configs[-1]}")
    networks = tuple(_build(configs[0], state, path) for path, state in found)
    classes = configs[0].classes
    card = ModelCard(
        architecture=configs[0],
        networks=len(networks),
        input_size=(side, side),
        class_names=("lesion",) if classes == 1 else tuple(f"class{number}" for number in range(1, classes + 1)),
        name=name,
        licence=licence or "not stated",
        scores={},
    )
    return Bundle(card=card, networks=networks)


def architecture_of(state: State, path: Path) -> UNetConfig:
    """Recognise encoder, decoder widths, classes and reducer from names and shapes; raises WeightsError if unknown."""
    head = state.get("segmentation_head.0.weight")
    widths = [_first_axis(state, f"decoder.blocks.{number}.conv1.0.weight", path) for number in range(5)]
    if head is None or head.ndim != 4:
        raise WeightsError(f"{path} has no segmentation_head.0.weight", hint=_HINT)
    if "decoder.blocks.5.conv1.0.weight" in state:
        raise WeightsError(f"{path} has more than the five decoder blocks of Endo-SemiS", hint=_HINT)
    return UNetConfig(
        encoder=_encoder_of(state, path),
        decoder_channels=tuple(widths),
        classes=head.shape[0],
        reducer="bottleneck_reducer.0.weight" in state,
    )


_HINT = "give U-Nets with the parameter names of segmentation_models_pytorch 0.4, as the authors of Endo-SemiS release"


def _encoder_of(state: State, path: Path) -> EncoderName:
    if "encoder.features.18.0.weight" in state or "encoder.features.0.0.weight" in state:
        raise WeightsError(
            f"{path} has the MobileNetV2 of segmentation_models_pytorch, whose last layer (1280 channels) endoseg's"
            " mobilenet_v2 does not have",
            hint="import a network with a resnet18, resnet34 or resnet50 encoder, or train one with endoseg",
        )
    blocks = {name.split(".")[2] for name in state if name.startswith("encoder.layer3.")}
    bottleneck = "encoder.layer1.0.conv3.weight" in state
    encoder = _RESNETS.get((len(blocks), bottleneck))
    if encoder is None:
        raise WeightsError(f"{path} has an encoder that is not resnet18, resnet34 or resnet50", hint=_HINT)
    return encoder


def _first_axis(state: State, name: str, path: Path) -> int:
    if name not in state or state[name].ndim != 4:
        raise WeightsError(f"{path} is not a checkpoint of Endo-SemiS: it has no {name}", hint=_HINT)
    return state[name].shape[0]


def _build(config: UNetConfig, state: State, path: Path) -> UNet:
    with torch.device("meta"):
        network = UNet(config)
    own = network.state_dict()
    learned = {name for name in own if not name.endswith("num_batches_tracked")}
    given = {name for name in state if not name.endswith("num_batches_tracked")}
    if learned != given:
        missing, extra = sorted(learned - given), sorted(given - learned)
        found = f"lacks {missing[0]}" if missing else f"has an unknown tensor {extra[0]}"
        raise WeightsError(f"{path} does not fit a U-Net with {config.encoder}: it {found}", hint=_HINT)
    for name in sorted(learned):
        if own[name].shape != state[name].shape:
            shapes = f"{tuple(state[name].shape)}, expected {tuple(own[name].shape)}"
            raise WeightsError(f"{path}: tensor {name} has shape {shapes}", hint=_HINT)
        if not torch.isfinite(state[name]).all():
            raise WeightsError(f"{path}: tensor {name} holds values that are not finite", hint="use another checkpoint")
    counters = {name: torch.zeros((), dtype=torch.long) for name in own if name not in learned}
    network.load_state_dict({**{name: state[name].float() for name in learned}, **counters}, assign=True)
    return network.eval()


def _states(path: Path) -> Iterator[State]:
    content = _read(path)
    if isinstance(content, Mapping) and any(key in content for key in _TRAINING_KEYS):
        parts = [content[key] for key in _TRAINING_KEYS if key in content]
    elif isinstance(content, Mapping):
        parts = [next((content[key] for key in _SINGLE_KEYS if key in content), content)]
    else:
        parts = [content]
    for part in parts:
        if not isinstance(part, Mapping) or not part or not all(isinstance(value, Tensor) for value in part.values()):
            raise WeightsError(f"{path} holds no state dict", hint="save the networks' state_dict(), not the network")
        yield {str(name).removeprefix("module."): tensor for name, tensor in part.items()}


def _read(path: Path) -> object:
    if not path.is_file():
        raise MissingInputError(f"no checkpoint at {path}", hint="check the path")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is not a plain checkpoint: it is damaged, or wants to run code when it is loaded",
            hint="where it was made, save its state dicts alone: torch.save(network.state_dict(), FILE)",
        ) from error
    except Exception as error:  # whatever else a damaged file makes torch or safetensors raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path} cannot be read as a checkpoint: {reason}", hint="fetch it again") from error
