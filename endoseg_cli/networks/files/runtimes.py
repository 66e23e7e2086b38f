"""What runs the networks: torch, or OpenVINO or ONNX Runtime on the CPU."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from endoseg_cli.errors import UsageError
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.files.deployable import pad_known_sides
from endoseg_cli.networks.files.export_formats import traced_onnx
from endoseg_cli.networks.running.device import computes_bf16
from endoseg_cli.part_file import whole_file
from endoseg_cli.user_cache import user_cache

RuntimeName = Literal["torch", "openvino", "onnx"]
RuntimeChoice = Literal["auto", "torch", "openvino", "onnx"]
Logits = Callable[[Tensor], list[Tensor]]
"""Normalised pictures (N, 3, H, W), float32, to the logits (N, C, H, W) of each network."""
_PACKAGES: dict[RuntimeName, tuple[str, ...]] = {
    "torch": (),
    "openvino": ("openvino", "onnx"),
    "onnx": ("onnxruntime", "onnx"),
}


def choose_runtime(choice: RuntimeChoice, device: torch.device) -> RuntimeName:
    """Return what runs the networks; auto is OpenVINO where it is installed and the CPU computes in bf16, else torch.

    Raises UsageError for a runtime that is not known, not installed, or for a device that only torch knows.
    """
    if choice not in get_args(RuntimeChoice):
        raise UsageError(f"--runtime {choice} is not known", hint=f"use {', '.join(get_args(RuntimeChoice))}")
    if choice == "auto":
        return "openvino" if device.type == "cpu" and is_installed("openvino") and computes_bf16() else "torch"
    if choice != "torch" and device.type != "cpu":
        raise UsageError(f"--runtime {choice} runs on the CPU alone, found --device {device}", hint="use --device cpu")
    if not is_installed(choice):
        raise UsageError(
            f"--runtime {choice} needs the packages {' and '.join(_PACKAGES[choice])}",
            hint=f'pip install "endoseg-cli[{choice}]"',
        )
    return choice


def is_installed(runtime: RuntimeName) -> bool:
    """Whether the packages of a runtime are there."""
    return all(find_spec(name) is not None for name in _PACKAGES[runtime])


def cache_folder() -> Path:
    """Return the user's folder of networks that were prepared for a runtime, and of measured speeds."""
    return user_cache("runtimes")


def openvino_logits(networks: Sequence[UNet], size: tuple[int, int], dtype: torch.dtype, *, batch_size: int) -> Logits:
    """Return networks that OpenVINO runs on pictures of `size`.

    Prepared networks are kept in the user's cache, where it can be written.
    """
    import openvino

    # Parts of a batch side by side, each by half of the threads, which wait less for each other within a layer.
    parts = 2 if torch.get_num_threads() > 1 and batch_size % 2 == 0 else 1
    part_size = batch_size // parts
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": str(torch.get_num_threads()),
        "NUM_STREAMS": str(parts),
    }
    core = openvino.Core()
    # a fixed size is a third faster; the last part is filled up
    model = _onnx_of(networks, size, batch_size=part_size)
    try:
        compiled = _compiled(core, model, settings)
    except RuntimeError:  # a file that was cut off: it is made anew
        if not isinstance(model, Path):
            raise
        model.unlink(missing_ok=True)
        compiled = _compiled(core, _onnx_of(networks, size, batch_size=part_size), settings)
    requests = [compiled.create_infer_request() for _ in range(parts)]

    def run(images: Tensor) -> list[Tensor]:
        missing = images.new_zeros((-len(images) % part_size, *images.shape[1:]))
        waiting = torch.split(torch.cat([images, missing]).contiguous(), part_size)
        found = []
        for first in range(0, len(waiting), parts):
            found += _together(requests, waiting[first : first + parts])
        return list(torch.cat(found, dim=1)[:, : len(images)])

    return run


def _compiled(core: Any, model: Path | bytes, settings: Mapping[str, str]) -> Any:
    if isinstance(model, bytes):
        return core.compile_model(core.read_model(model), "CPU", settings)
    # what was compiled of a file before is loaded without a look into the file, in a third of the time
    return core.compile_model(str(model), "CPU", {**settings, "CACHE_DIR": str(model.parent)})


def _together(requests: Sequence[Any], parts: Sequence[Tensor]) -> list[Tensor]:
    """Run parts of a batch, at most as many as there are requests, at the same time."""
    started = []
    try:
        for request, part in zip(requests, parts, strict=False):
            request.start_async([part.numpy()])
            started.append(request)
    finally:
        for request in started:  # after an error too: a request that still runs cannot be used again
            request.wait()
    return [torch.from_numpy(request.get_output_tensor().data.copy()) for request in started]


def onnx_logits(networks: Sequence[UNet], size: tuple[int, int]) -> Logits:
    """Return networks that ONNX Runtime runs, in float32."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    found = _onnx_of(networks, size)
    model = str(found) if isinstance(found, Path) else found
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> list[Tensor]:
        return list(torch.from_numpy(session.run(["logits"], {"image": images.contiguous().numpy()})[0]))

    return run


class _AllLogits(nn.Module):
    """All networks of a model on pictures of a fixed size, (N, 3, H, W) to (networks, N, C, H, W)."""

    def __init__(self, networks: Sequence[UNet], size: tuple[int, int]) -> None:
        super().__init__()
        self.networks, self.size = nn.ModuleList(networks), size

    def forward(self, image: Tensor) -> Tensor:
        height, width = self.size
        x = pad_known_sides(image, height, width)
        each = [network.decode(network.encoder(x)) for network in cast("list[UNet]", self.networks)]
        return torch.stack(each)[..., :height, :width]


def _onnx_of(networks: Sequence[UNet], size: tuple[int, int], *, batch_size: int | None = None) -> Path | bytes:
    """Return networks as ONNX, for batches of one size or of any: a file of the cache, as writing it takes seconds.

    Where the cache cannot be written, its bytes.
    """
    batch = "" if batch_size is None else f"-{batch_size}"
    file = cache_folder() / f"{_fingerprint(networks, size)}{batch}.onnx"
    if file.is_file() and os.access(file, os.R_OK):
        return file
    fixed = batch_size is not None
    axes = {"image": None if fixed else 0, "logits": None if fixed else 1}
    content = traced_onnx(_AllLogits(networks, size), torch.zeros(batch_size or 2, 3, *size), axes)
    if not _is_writable(file.parent):
        return content
    with whole_file(file, durable=False) as kept:
        kept.write(content)
    return file


def _fingerprint(networks: Sequence[UNet], size: tuple[int, int]) -> str:
    digest = hashlib.sha256(f"{torch.__version__} {size}".encode())
    for network in networks:
        digest.update(f"{network.config} {network.transposes_upsampling}".encode())
        for values in network.state_dict().values():
            digest.update(values.detach().cpu().contiguous().numpy())
    return digest.hexdigest()[:32]


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def packages() -> dict[str, Any]:
    """Return the versions of the packages that runtimes need, None for those that are not installed."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, Any] = {}
    for name in ("torch", "openvino", "onnxruntime", "onnx"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
