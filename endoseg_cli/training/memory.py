"""When memory does not suffice: find out by trying which batch size would."""

from __future__ import annotations

from collections.abc import Callable

import torch

from endoseg_cli.data.datasets import TrainingBatch
from endoseg_cli.errors import DeviceError


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the GPU's or the machine's memory did not suffice."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def explain_memory(batch: TrainingBatch, attempt: Callable[[TrainingBatch], object], processes: int = 1) -> DeviceError:
    """Return the error for a batch that did not fit, with the largest of its halves that does.

    `attempt` computes the gradients of a part of the batch; what it leaves behind is of no use, since the run stops.
    With several processes nothing is tried, since they would have to try together.
    """
    whole = len(batch.labeled.images)
    count = whole // 2 if processes == 1 else 0
    while count and not _fits(batch.first(count), attempt):
        count //= 2
    message = f"the memory does not suffice for a batch of {whole * processes} labelled frames"
    if count:
        return DeviceError(f"{message}; {count} would fit", hint=f"use --batch-size {count}, or a smaller --size")
    return DeviceError(message, hint="use a smaller --batch-size, --size or --encoder")


def _fits(batch: TrainingBatch, attempt: Callable[[TrainingBatch], object]) -> bool:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    try:
        attempt(batch)
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            return False
        raise
    return True
