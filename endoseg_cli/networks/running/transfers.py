"""Pictures on their way to the device that computes, and maps on their way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]
Arriving = Callable[[], Tensor]
"""Waits for a tensor that is on its way to the CPU, and returns it."""


class Transfers(Protocol):
    """Moves what a batch needs and what comes of it."""

    def upload(self, frames: Pixels) -> Tensor:
        """Return frames (N, h, w, 3) as (N, 3, h, w), channels last, on the device.

        Keep them until what is computed of them has arrived.
        """

    def download(self, maps: Tensor) -> Arriving:
        """Let maps leave the device; they may be waited for later."""


def transfers_for(device: torch.device) -> Transfers:
    """Return how tensors get to a device and back."""
    return StreamTransfers(device) if device.type == "cuda" else DirectTransfers(device)


class DirectTransfers:
    """Moves tensors at once; on a CPU there is nothing to move."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def upload(self, frames: Pixels) -> Tensor:
        """See `Transfers`."""
        return torch.from_numpy(frames).permute(0, 3, 1, 2).to(self._device)

    def download(self, maps: Tensor) -> Arriving:
        """See `Transfers`."""
        arrived = maps.cpu()
        return lambda: arrived


class StreamTransfers:
    """Moves tensors beside what a CUDA device computes, on a stream for each direction, through pinned memory.

    What streams share is kept until it has arrived, so that torch gives its memory to nobody before; pinned memory
    torch itself keeps until it was read.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._up: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._down: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def upload(self, frames: Pixels) -> Tensor:
        """See `Transfers`."""
        pinned = pinned_empty(frames.shape, torch.uint8)
        np.copyto(pinned.numpy(), frames)
        with torch.cuda.stream(self._up):
            there = pinned.to(self._device, non_blocking=True)
        torch.cuda.current_stream(self._device).wait_stream(self._up)
        return there.permute(0, 3, 1, 2)

    def download(self, maps: Tensor) -> Arriving:
        """See `Transfers`."""
        pinned = pinned_empty(maps.shape, maps.dtype)
        self._down.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._down):
            pinned.copy_(maps, non_blocking=True)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(self._down)

        def wait(kept: Tensor = maps) -> Tensor:
            arrived.synchronize()
            return pinned

        return wait


def pinned_empty(shape: tuple[int, ...] | torch.Size, dtype: torch.dtype) -> Tensor:
    """Return memory of the CPU that a GPU reads and writes by itself; ordinary memory where the system gives none."""
    try:
        return torch.empty(shape, dtype=dtype, pin_memory=True)
    except RuntimeError:
        return torch.empty(shape, dtype=dtype)
