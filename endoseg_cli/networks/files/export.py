"""Write a model for other runtimes, and prove it by running what was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from endoseg_cli.errors import OutputError
from endoseg_cli.networks.files.bundle import Bundle, ModelCard
from endoseg_cli.networks.files.deployable import Deployable
from endoseg_cli.networks.files.export_formats import Run, onnx_bytes, open_onnx, open_torchscript, torchscript_bytes
from endoseg_cli.networks.running.fusion import fuse_for_prediction
from endoseg_cli.part_file import whole_file

ExportFormat = Literal["onnx", "torchscript"]
SUFFIXES: dict[ExportFormat, str] = {"onnx": ".onnx", "torchscript": ".pt"}
"""What the files' names end in."""
TOLERANCE = 1e-4
"""Largest difference of any probability from the trained networks'. Rounding alone gives about 1e-6."""
BATCHES = (1, 3)
"""Batch sizes that a written file is tried with."""

_WRITERS: dict[ExportFormat, Callable[[Deployable, ModelCard], bytes]] = {
    "onnx": onnx_bytes,
    "torchscript": torchscript_bytes,
}
_OPENERS: dict[ExportFormat, Callable[[Path], Run]] = {"onnx": open_onnx, "torchscript": open_torchscript}


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A file that was written and checked."""

    path: Path
    """The file."""
    pictures: int
    """How many pictures it was tried with."""
    largest_difference: float
    """Largest difference of any probability from that of the trained networks."""


def export_model(bundle: Bundle, path: Path, kind: ExportFormat) -> Exported:
    """Write the mean of a model's networks as ONNX or TorchScript: pictures in, probabilities out (see Deployable).

    The file is run with random and smooth pictures in batches of 1 and 3, and gets its name only if it agrees with the
    networks as they were trained. Raises OutputError if it does not or cannot be written, UsageError without onnx.
    """
    fused = Deployable(bundle.card, [fuse_for_prediction(network) for network in bundle.networks])
    content = _WRITERS[kind](fused, bundle.card)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(content)
            file.flush()
            exported = check_file(bundle, Path(file.name), kind)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}", hint="choose another folder") from error
    return Exported(path=path, pictures=exported.pictures, largest_difference=exported.largest_difference)


def check_file(bundle: Bundle, path: Path, kind: ExportFormat) -> Exported:
    """Run an exported file and compare it with the networks it came from; raises OutputError beyond the tolerance."""
    run, reference = _OPENERS[kind](path), Deployable(bundle.card, bundle.networks)
    batches = [batch for count in BATCHES for batch in _pictures(count, bundle.card.input_size)]
    with torch.inference_mode():
        differences = [(run(batch) - reference(batch)).abs().max() for batch in batches]
    largest = float(torch.stack(differences).max())
    if not largest <= TOLERANCE:  # written so that "not a number" is refused too
        raise OutputError(
            f"the exported model differs from {bundle.card.name} by {largest:.2g} in probability, "
            f"expected at most {TOLERANCE:g}",
            hint="the runtime computes something else; try the other --format, or another version of the runtime",
        )
    return Exported(path=path, pictures=sum(map(len, batches)), largest_difference=largest)


def _pictures(count: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return `count` pictures of noise and as many of soft colour patches: textures and areas that networks meet."""
    random = torch.Generator().manual_seed(count)
    noise = torch.randint(0, 256, (count, 3, *size), generator=random).float()
    coarse = torch.randint(0, 256, (count, 3, 6, 6), generator=random).float()
    return noise, functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
