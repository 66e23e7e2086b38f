"""Which model was scored on which frames: what must stand beside a number for it to be repeated."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from endoseg_cli.data.labels.layout import LabeledRecord
from endoseg_cli.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The model, the frames and the setting behind an evaluation."""

    endoseg_version: str
    """Version of endoseg that evaluated."""
    weights: str
    """File that holds the model; its whole path only where that was asked for, as paths may name patients."""
    weights_sha256: str
    """SHA-256 of that file."""
    model_card: Mapping[str, Any]
    """The model's own metadata."""
    network: str
    """"both" (mean of the two networks), "1" or "2"."""
    device: str
    """Device the networks ran on."""
    labeled: str
    """Folder of the labelled frames, named so too."""
    split: str
    """Split file and part that chose among them, or "all frames"."""
    data_sha256: str
    """Digest of all frames and masks, from `digest_records`."""
    presence: float = 0.0
    """Peak probability that a region had to reach."""
    tta: str = "off"
    """Mirror images that the prediction is the mean of."""


def digest_records(records: Sequence[LabeledRecord]) -> str:
    """Return one SHA-256 over names and bytes of all frames and masks, whatever their order.

    Two sets have the same digest only if they hold the same files under the same names, wherever the folders lie.
    Raises InputError for a file that cannot be read.
    """
    masks = {mask: digest_file(mask) for mask in {record.mask for record in records}}  # one file may hold all of them
    lines = sorted(f"{record.name} {digest_file(record.image)} {masks[record.mask]}" for record in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file; raises InputError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
