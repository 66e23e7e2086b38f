"""The files that other runtimes read: ONNX and TorchScript, each written by one function and run by another."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from endoseg_cli.errors import UsageError
from endoseg_cli.networks.files.bundle import FORMAT_VERSION, METADATA_KEY, ModelCard, card_facts
from endoseg_cli.networks.files.deployable import INPUT_NAME, OUTPUT_NAME, Deployable

CARD_FILE = "endoseg.json"
"""Where a TorchScript file keeps the model card (torch.jit.load's `_extra_files`)."""
OPSET = 18
"""Operator set of ONNX files: what runtimes since early 2023 know (ONNX Runtime 1.14, OpenVINO 2023)."""
Run = Callable[[Tensor], Tensor]
"""A file at work: pictures (N, 3, H, W) to probabilities (N, C, H, W)."""

# torch keeps these for now and says so at every call; our upper bound on torch's version says until when.
_DEPRECATIONS = (
    r"`?torch\.jit\.\w+`? is deprecated",
    r"You are using the legacy TorchScript-based ONNX export",
    r"The feature will be removed",
)


def onnx_bytes(model: Deployable, card: ModelCard) -> bytes:
    """Return the model as an ONNX file; the card is in its metadata under "endoseg".

    torch's older exporter is used: of the same networks it makes the same operators in a tenth of the time (2 s, not
    23 s), needs no further package, and writes no paths of this machine into the file. Raises UsageError without onnx.
    """
    require_onnx()
    import onnx

    content = onnx.load_model_from_string(traced_onnx(model, _example(model), {INPUT_NAME: 0, OUTPUT_NAME: 0}))
    content.producer_name, content.producer_version = "endoseg", card.endoseg_version
    content.doc_string = describe(card)
    onnx.helper.set_model_props(content, {METADATA_KEY: _card_text(card)})
    onnx.checker.check_model(content, full_check=True)
    exported: bytes = content.SerializeToString()
    return exported


def traced_onnx(model: nn.Module, example: Tensor, batch_axes: Mapping[str, int | None]) -> bytes:
    """Return a module of one input and one output as ONNX.

    `batch_axes` names both, and which axis is a batch of any size; None where its size is that of the example.
    """
    buffer = io.BytesIO()
    input_name, output_name = batch_axes
    with torch.no_grad(), _without_deprecations():
        torch.onnx.export(
            model,
            (example,),
            buffer,  # type: ignore[arg-type]  # the older exporter takes it, the newer one does not
            input_names=[input_name],
            output_names=[output_name],
            dynamic_axes={name: {axis: "batch"} for name, axis in batch_axes.items() if axis is not None},
            opset_version=OPSET,
            dynamo=False,
        )
    return buffer.getvalue()


def torchscript_bytes(model: Deployable, card: ModelCard) -> bytes:
    """Return the model as a TorchScript file with the card as the extra file endoseg.json."""
    buffer = io.BytesIO()
    with torch.no_grad(), _without_deprecations():
        # The file itself is checked later, by running it.
        traced = torch.jit.trace(model, _example(model), check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, buffer, _extra_files={CARD_FILE: _card_text(card)})
    return buffer.getvalue()


def open_onnx(path: Path) -> Run:
    """Load an ONNX file into ONNX Runtime, on the CPU."""
    require_onnx()
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

    def run(image: Tensor) -> Tensor:
        return torch.from_numpy(session.run([OUTPUT_NAME], {INPUT_NAME: image.numpy()})[0])

    return run


def open_torchscript(path: Path) -> Run:
    """Load a TorchScript file."""
    with _without_deprecations():
        loaded = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]

    def run(image: Tensor) -> Tensor:
        # Optimising the program for every batch size would take longer than running it a few times.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            probability: Tensor = loaded(image)
        return probability

    return run


def describe(card: ModelCard) -> str:
    """Say in one line what an exported model takes and gives."""
    height, width = card.input_size
    crop = "" if card.field_of_view == "off" else ", the endoscope's picture cropped out of the frame before resizing"
    return (
        f"{INPUT_NAME}: float32 (N, 3, {height}, {width}), RGB, 0 to 255{crop}; "
        f"{OUTPUT_NAME}: float32 (N, {len(card.class_names)}, {height}, {width}), 0 to 1"
    )


def require_onnx() -> None:
    """Raise UsageError unless onnx and onnxruntime can be imported."""
    try:
        for name in ("onnx", "onnxruntime"):
            import_module(name)
    except ImportError as error:
        raise UsageError(
            f"ONNX needs the packages onnx and onnxruntime, found no {error.name}",
            hint='pip install "endoseg-cli[onnx]"',
        ) from error


def _card_text(card: ModelCard) -> str:
    return json.dumps({"format_version": FORMAT_VERSION, **card_facts(card)})


def _example(model: Deployable) -> Tensor:
    # Two pictures: traced with one, a batch of one could become part of the program.
    return torch.linspace(0, 255, 2 * 3 * model.size[0] * model.size[1]).view(2, 3, *model.size)


@contextmanager
def _without_deprecations() -> Iterator[None]:
    with warnings.catch_warnings():
        # Heights and widths become part of the program, as they are meant to: they are fixed.
        warnings.filterwarnings("ignore", message="Converting a tensor to a Python")
        for message in _DEPRECATIONS:
            warnings.filterwarnings("ignore", message=message, category=DeprecationWarning)
        yield
