"""What a run is made of: the data, as a digest, and the versions of what computed it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch

from endoseg_cli import __version__
from endoseg_cli.data.sets.sources import DataSources


def versions() -> dict[str, str]:
    """Return the versions of endoseg and of what its results depend on."""
    return {
        "endoseg": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "opencv": cv2.__version__,
        "numpy": np.__version__,
    }


def data_digest(sources: DataSources) -> str:
    """Return a SHA-256 over the names and contents of all frames and masks, and over which set each belongs to.

    Where the folders lie does not matter; a changed, added or missing file does.
    """
    entries = [(f"labeled/{record.name}", (record.image, record.mask)) for record in sources.labeled]
    entries += [(f"val/{record.name}", (record.image, record.mask)) for record in sources.val]
    rows = [*entries, *((f"unlabeled/{record.name}", (record.image,)) for record in sources.unlabeled)]
    rows += [(f"negatives/{record.name}", (record.image,)) for record in sources.negatives]
    with ThreadPoolExecutor() as threads:
        digests = list(threads.map(lambda row: _contents(row[1]), rows))
    whole = hashlib.sha256()
    for (name, _), digest in zip(rows, digests, strict=True):
        whole.update(f"{name}\0{digest}\n".encode())
    return whole.hexdigest()


def _contents(paths: Iterable[Path]) -> str:
    return " ".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
