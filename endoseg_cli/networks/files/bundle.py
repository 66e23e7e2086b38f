"""A trained model as one .safetensors file: tensors of both networks, and metadata that says what they are."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from endoseg_cli import __version__
from endoseg_cli.errors import MissingInputError, OutputError, UsageError, WeightsError, folded
from endoseg_cli.networks.architecture.corrective import MOST_SIDE, CorrectiveConfig, CorrectiveNetwork
from endoseg_cli.networks.architecture.encoders import IMAGENET, normalisation
from endoseg_cli.networks.architecture.unet import UNet, UNetConfig
from endoseg_cli.part_file import whole_file

FORMAT_VERSION = 1
"""Version of the file format; raised when an older endoseg could misread a newer file."""
METADATA_KEY = "endoseg"
IMAGENET_MEAN, IMAGENET_STD = IMAGENET
CORRECTIVE_PREFIX = "corrective."
_DTYPES = {"F16": torch.float16, "F32": torch.float32}
FieldOfViewMode = Literal["auto", "off"]
"""auto crops frames to the endoscope's picture before they are resized."""
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model is, what it takes in, and what is known about it; stored in the file's metadata."""

    architecture: UNetConfig
    """The architecture of the networks in the file; of the first alone where `second` is given."""
    networks: int
    """Number of networks: 2 as Endo-SemiS trains them, or 1."""
    input_size: tuple[int, int]
    """Height and width that frames are resized to."""
    class_names: tuple[str, ...] = ("lesion",)
    """One name per output channel."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Mean of the input normalisation, RGB in [0, 1]."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Standard deviation of the input normalisation, RGB in [0, 1]."""
    name: str = "unnamed"
    """Short name of the model."""
    training_data: str = "not stated"
    """Data sets the model learned from, with citations."""
    licence: str = "not stated"
    """Terms under which the weights may be used."""
    intended_use: str = "research use; not for diagnosis"
    """What the model is for and what it is not for."""
    scores: Mapping[str, Any] = field(default_factory=dict)
    """Measured scores, with the data they were measured on."""
    endoseg_version: str = __version__
    """Version of endoseg that wrote the file."""
    corrective: CorrectiveConfig | None = None
    """Architecture of the corrective network, where the file holds one."""
    field_of_view: FieldOfViewMode = "off"
    """Whether the networks learned from, and take, the endoscope's picture cropped out of the frame."""
    second: UNetConfig | None = None
    """The architecture of the second network, where it is another one."""
    presence: float = 0.0
    """Peak probability that a region must reach to be drawn, chosen on the scores' data; 0 draws every region."""

    @property
    def architectures(self) -> tuple[UNetConfig, ...]:
        """The architecture of each network."""
        return (self.architecture, self.second or self.architecture)[: self.networks]

    def __post_init__(self) -> None:
        if self.second is not None and (self.networks != 2 or self.second.classes != self.architecture.classes):
            raise UsageError("a second architecture needs two networks of the same classes")
        if self.second is not None and normalisation(self.second.encoder) != normalisation(self.architecture.encoder):
            raise UsageError(
                f"{self.architecture.encoder} and {self.second.encoder} take pictures normalised in different ways"
            )
        if isinstance(self.presence, bool) or not isinstance(self.presence, int | float) or not 0 <= self.presence < 1:
            raise UsageError(f"presence must be at least 0 and below 1, found {self.presence}")
        if self.field_of_view not in get_args(FieldOfViewMode):
            raise UsageError(f"field of view must be auto or off, found {self.field_of_view}")
        if type(self.networks) is not int or self.networks not in (1, 2):
            raise UsageError(f"a model holds 1 or 2 networks, found {self.networks}")
        if len(self.input_size) != 2 or not all(
            type(side) is int and 1 <= side <= MOST_SIDE for side in self.input_size
        ):
            raise UsageError(f"input size must be two whole numbers of 1 to {MOST_SIDE}, found {self.input_size}")
        if len(self.class_names) != self.architecture.classes:
            raise UsageError(f"expected {self.architecture.classes} class names, found {list(self.class_names)}")
        if len(set(self.class_names)) != len(self.class_names) or not all(map(_is_file_name, self.class_names)):
            # they become folders of mask pictures
            raise UsageError(f"class names must differ and be fit for file names, found {list(self.class_names)}")
        if not (_are_three_numbers(self.mean) and _are_three_numbers(self.std) and min(self.std) > 0):
            raise UsageError(f"normalisation needs 3 means and 3 positive deviations, found {self.mean} and {self.std}")
        texts = (self.name, self.training_data, self.licence, self.intended_use, self.endoseg_version)
        if not all(isinstance(text, str) for text in texts) or not isinstance(self.scores, Mapping):
            raise UsageError("a model card's name, data, licence, use and version are texts, its scores a mapping")
        if self.corrective is not None and self.corrective.classes != self.architecture.classes:
            found = f"found {self.corrective.classes} and {self.architecture.classes}"
            raise UsageError(f"the corrective network and the others must have the same classes, {found}")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A model in memory: its card and its networks, in eval mode, float32, on the CPU."""

    card: ModelCard
    """What the networks are and take in."""
    networks: tuple[UNet, ...]
    """f_1 and f_2 of Endo-SemiS, or a single network."""
    corrective: CorrectiveNetwork | None = None
    """f_st of Endo-SemiS, which repairs predictions in video."""

    def __post_init__(self) -> None:
        config = None if self.corrective is None else self.corrective.config
        assert self.card.corrective == config, "the card describes the corrective network"


def save_bundle(bundle: Bundle, path: Path, *, half: bool = False) -> None:
    """Write `bundle` to `path` atomically, as float32 or (`half`) float16 tensors.

    Raises OutputError when the file cannot be written, WeightsError for values that are not finite in that type.
    """
    dtype = torch.float16 if half else torch.float32
    parts: dict[str, nn.Module] = {
        f"network{number}.": network for number, network in enumerate(bundle.networks, start=1)
    }
    if bundle.corrective is not None:
        parts[CORRECTIVE_PREFIX] = bundle.corrective
    tensors = {
        prefix + name: tensor.detach().cpu().to(dtype).contiguous()
        for prefix, network in parts.items()
        for name, tensor in network.state_dict().items()
        if _is_stored(name)
    }
    _check_finite(tensors, "", path)
    metadata = {METADATA_KEY: json.dumps({"format_version": FORMAT_VERSION, **_card_to_dict(bundle.card)})}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(save(tensors, metadata))  # save_file would hide the file from other users
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"cannot write the model to {path}: {folded(error)}", hint="check the folder's free space"
        ) from error


def load_bundle(path: Path) -> Bundle:
    """Read a model and check everything in it: format version, metadata, tensor names, shapes and types.

    Raises MissingInputError if there is no such file, WeightsError if it is anything but a whole, fitting model.
    """
    card, shapes = _read_header(path)
    networks = tuple(
        _fill(_skeleton(architecture), f"network{number}.", path, shapes)
        for number, architecture in enumerate(card.architectures, start=1)
    )
    corrective = None
    if card.corrective is not None:
        corrective = _fill(_corrective_skeleton(card.corrective), CORRECTIVE_PREFIX, path, shapes)
    bundle = Bundle(card=card, networks=networks, corrective=corrective)
    _check_nothing_left(path, shapes, bundle)
    return bundle


def load_card(path: Path) -> ModelCard:
    """Read only the metadata of a model file; raises as `load_bundle` does."""
    return _read_header(path)[0]


class _NoRandomValues(TorchFunctionMode):
    """Skips random initialisation: for a network without values torch would load its compiler (2 s) to do nothing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return args[0] if func in (Tensor.normal_, Tensor.uniform_) else func(*args, **(kwargs or {}))


def _skeleton(architecture: UNetConfig) -> UNet:
    """Return a network with names and shapes but without values."""
    with _NoRandomValues(), torch.device("meta"):
        return UNet(architecture)


def _corrective_skeleton(config: CorrectiveConfig) -> CorrectiveNetwork:
    with _NoRandomValues(), torch.device("meta"):
        return CorrectiveNetwork(config)


def _is_file_name(name: object) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\:\0\n")


def _are_three_numbers(values: Sequence[object]) -> bool:
    return len(values) == 3 and all(isinstance(value, int | float) and math.isfinite(value) for value in values)


def _is_stored(name: str) -> bool:
    # BatchNorm's step counters mean nothing outside training
    return not name.endswith("num_batches_tracked")


def _read_header(path: Path) -> tuple[ModelCard, dict[str, tuple[tuple[int, ...], str]]]:
    if not path.is_file():
        raise MissingInputError(f"no model file at {path}", hint="check the path given to --weights")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in file.keys()}
            shapes = {name: (tuple(piece.get_shape()), str(piece.get_dtype())) for name, piece in slices.items()}
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is not a whole .safetensors file: {error}",
            hint="fetch or copy it again; .pth checkpoints must be converted first",
        ) from error
    return _parse_card(metadata, path), shapes


def _parse_card(metadata: Mapping[str, str], path: Path) -> ModelCard:
    if METADATA_KEY not in metadata:
        raise WeightsError(
            f"{path} is a .safetensors file without endoseg's metadata",
            hint="give a model that endoseg wrote, such as model.safetensors of a run folder",
        )
    try:
        # NaN and Infinity, which Python writes into JSON, become null: no other reader understands them
        values = json.loads(metadata[METADATA_KEY], parse_constant=lambda _: None)
        version = values.pop("format_version")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise WeightsError(f"{path} has unreadable metadata: {error}", hint="fetch or copy it again") from error
    if version != FORMAT_VERSION or isinstance(version, bool):
        newer = isinstance(version, int) and version > FORMAT_VERSION
        raise WeightsError(
            f"{path} has format version {version}, this endoseg {__version__} reads version {FORMAT_VERSION}",
            hint="update endoseg" if newer else "train or import it again",
        )
    try:
        return _card_from_dict(values)
    except (TypeError, ValueError, KeyError) as error:
        reason = f"no field {error}" if isinstance(error, KeyError) else getattr(error, "message", error)
        raise WeightsError(f"{path} has metadata that do not fit: {reason}", hint="fetch or copy it again") from error


def _card_from_dict(values: dict[str, Any]) -> ModelCard:
    unknown = sorted(set(values) - {f.name for f in fields(ModelCard)})
    if unknown:
        raise ValueError(f"unknown fields {', '.join(unknown)}")
    architecture = _architecture(values.pop("architecture"))
    if values.get("second") is not None:
        values["second"] = _architecture(values["second"])
    if values.get("corrective") is not None:
        values["corrective"] = CorrectiveConfig(**_with_tuples(dict(values["corrective"])))
    return ModelCard(architecture=architecture, **_with_tuples(values))


def _architecture(values: Mapping[str, Any]) -> UNetConfig:
    return UNetConfig(**{**values, "decoder_channels": tuple(values["decoder_channels"])})


def card_facts(card: ModelCard) -> dict[str, Any]:
    """Return a card's fields as plain values; `second` only where there is one, as few models have."""
    values = asdict(card)
    if card.second is None:
        del values["second"]
    return values


def _card_to_dict(card: ModelCard) -> dict[str, Any]:
    values = card_facts(card)
    if card.corrective is None:
        del values["corrective"]  # a model without it is a file that older versions of endoseg read too
    if card.field_of_view == "off":
        del values["field_of_view"]
    if card.presence == 0:
        del values["presence"]
    return values


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _fill(network: Network, prefix: str, path: Path, shapes: dict[str, tuple[tuple[int, ...], str]]) -> Network:
    """Give a network without values those of the tensors under `prefix`, after checking them; return it."""
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items() if _is_stored(name)}
    _check_tensors({prefix + name: shape for name, shape in expected.items()}, shapes, path)
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(prefix + name).float() for name in expected}
    _check_finite(state, prefix, path)
    for name, tensor in network.state_dict().items():
        if not _is_stored(name):
            state[name] = torch.zeros(tensor.shape, dtype=tensor.dtype)
    network.load_state_dict(state, assign=True)
    return network.eval()


def _check_tensors(
    expected: dict[str, tuple[int, ...]], found: dict[str, tuple[tuple[int, ...], str]], path: Path
) -> None:
    hint = "the file does not hold the architecture that its metadata name; fetch or train it again"
    missing = [name for name in expected if name not in found]
    if missing:
        raise WeightsError(f"{path} lacks {len(missing)} tensors, first {missing[0]}", hint=hint)
    for name, shape in expected.items():
        if found[name][0] != shape:
            raise WeightsError(f"{path}: tensor {name} has shape {found[name][0]}, expected {shape}", hint=hint)
        if found[name][1] not in _DTYPES:
            raise WeightsError(f"{path}: tensor {name} has type {found[name][1]}, expected F16 or F32", hint=hint)


def _check_finite(state: Mapping[str, Tensor], prefix: str, path: Path) -> None:
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(
                f"{path}: tensor {prefix}{name} holds values that are not finite", hint="use another file"
            )


def _check_nothing_left(path: Path, found: Mapping[str, object], bundle: Bundle) -> None:
    known = {
        f"network{number}.{name}"
        for number, network in enumerate(bundle.networks, start=1)
        for name in network.state_dict()
        if _is_stored(name)
    }
    if bundle.corrective is not None:
        known |= {CORRECTIVE_PREFIX + name for name in bundle.corrective.state_dict()}
    extra = sorted(set(found) - known)
    if extra:
        raise WeightsError(
            f"{path} has {len(extra)} tensors that do not belong to its architecture, first {extra[0]}",
            hint="update endoseg, or fetch the model again",
        )
