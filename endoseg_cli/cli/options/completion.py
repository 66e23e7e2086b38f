"""What the Tab key offers for models, devices and weights; imports nothing heavy."""

from __future__ import annotations

from glob import escape
from pathlib import Path

DEVICES = ("auto", "cpu", "cuda", "mps")


def complete_weights(incomplete: str) -> list[str]:
    """Return the bundled models, run folders and model files that begin so."""
    from endoseg_cli.networks.files.models import MODEL_OF_A_RUN, bundled_models

    names = [name for name in bundled_models() if name.startswith(incomplete)]
    parent, _, start = incomplete.rpartition("/")
    found = sorted(Path(parent or ("/" if incomplete.startswith("/") else ".")).glob(f"{escape(start)}*"))
    for path in found:
        if path.is_dir():
            names.append(str(path) if (path / MODEL_OF_A_RUN).is_file() else f"{path}/")
        elif path.suffix == ".safetensors":
            names.append(str(path))
    return names


def complete_device(incomplete: str) -> list[str]:
    """Return the devices that begin so."""
    return [device for device in DEVICES if device.startswith(incomplete)]


def complete_downloads(incomplete: str) -> list[str]:
    """Return the weights that can be fetched and begin so."""
    from endoseg_cli.hub.manifest import load_manifest

    return [name for name, entry in load_manifest().items() if name.startswith(incomplete) and not entry.bundled]
