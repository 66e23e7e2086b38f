"""Checkpoints: everything a run needs to go on, written so that a kill at any moment leaves a whole one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from endoseg_cli.errors import MissingInputError, OutputError, WeightsError, folded
from endoseg_cli.part_file import whole_file


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values to `path`; the old file stays whole until the new one is.

    Raises OutputError when the disk does not take it.
    """
    try:
        with whole_file(path) as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:
        raise OutputError(
            f"cannot write the checkpoint {path}: {folded(error)}", hint="check the free space"
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, without executing anything from the file.

    Raises MissingInputError if there is none, WeightsError if it cannot be read.
    """
    if not path.is_file():
        raise MissingInputError(f"no checkpoint at {path}", hint="give the folder of a run that wrote one")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise nearly anything
        raise WeightsError(f"{path} is not a whole checkpoint: {str(error).splitlines()[0]}") from error
    return state
