"""When memory does not suffice: which batch size would do, and what killed a process that reads frames."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from endoseg_cli.data.views.datasets import TrainingBatch
from endoseg_cli.errors import DeviceError, EndosegError, TrainingError, UsageError
from endoseg_cli.training.settings.config import TrainConfig


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


@contextmanager
def readers_deaths_named() -> Iterator[None]:
    """Raise TrainingError where a process that reads frames dies meanwhile.

    torch learns of it by a signal, so that its own error may come up anywhere, not only while a batch is waited for;
    where a batch was on its way, its transport fails first, in whatever way the process left it.
    """
    try:
        yield
    except (RuntimeError, OSError, EOFError) as error:
        if not _tells_of_death(error):
            raise
        raise TrainingError(
            "a process that reads frames was killed, most often as memory ran out",
            hint="use fewer --workers, or 0; the last checkpoint is kept, and --resume goes on from it",
        ) from error


def _tells_of_death(error: BaseException) -> bool:
    """Return whether the error is torch's word on a dead reader, or what broke a transport between processes."""
    text = str(error)
    if isinstance(error, EndosegError) or text.startswith("Caught "):
        return False  # a living reader's own error, raised again here
    if isinstance(error, RuntimeError):
        return "DataLoader worker" in text
    if (
        not isinstance(error, EOFError | ConnectionError | FileNotFoundError)
        and getattr(error, "errno", None) is not None
    ):
        return False  # no memory, no room for another process or open file: another cause, said by the error
    modules = {frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)}
    return any(module.startswith(("multiprocessing.", "torch.multiprocessing.")) for module in modules)


SHARED_MEMORY = Path("/dev/shm")
"""Where processes that read frames hand over their batches on Linux; containers often have 64 MB of it."""


def check_shared_memory(config: TrainConfig, *, uses_unlabeled: bool) -> None:
    """Raise UsageError where the batches of --workers do not fit into shared memory, as they would wait for ever."""
    if not config.workers or not SHARED_MEMORY.is_dir():
        return
    facts = os.statvfs(SHARED_MEMORY)
    free = facts.f_bavail * facts.f_frsize
    height, width = config.size
    views = config.batch_size * 4 + (config.frames_unlabeled * 13 if uses_unlabeled else 0)  # bytes of a pixel
    wanted = views * height * width * (PREFETCHED * config.workers + 1)
    if wanted > free:
        raise UsageError(
            f"--workers {config.workers} needs {wanted >> 20} MB of shared memory, found {free >> 20} MB free in"
            f" {SHARED_MEMORY}",
            hint="start the container with a larger --shm-size, or use --workers 0",
        )


PREFETCHED = 2
"""Batches that each process reads ahead."""


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
