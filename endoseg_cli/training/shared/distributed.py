"""Several processes that train as one: sums over all of them, shared statistics of BatchNorm, mean gradients."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from endoseg_cli.errors import DeviceError

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """The place of this process among those that train together."""

    rank: int = 0
    """Number of this process, from 0; process 0 writes."""
    size: int = 1
    """How many processes there are."""

    @property
    def share(self) -> tuple[int, int]:
        """(rank, ranks), as the batches and the dropout take it."""
        return (self.rank, self.size)

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over all processes; the gradient flows back to every one of them."""
        if self.size == 1:
            return values
        total: Tensor = _SumOverRanks.apply(values)  # type: ignore[no-untyped-call]
        return total

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of `values` over all processes."""
        return self.sum(values) / self.size

    def gather(self, items: list[Item]) -> list[Item]:
        """Return the items of all processes, in the order of their ranks."""
        if self.size == 1:
            return items
        parts: list[list[Item]] = [[] for _ in range(self.size)]
        dist.all_gather_object(parts, items)
        return [item for part in parts for item in part]

    def lead(self, value: Item) -> Item:
        """Return what process 0 holds, so that all take the same decision."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            dist.barrier()


class _SumOverRanks(torch.autograd.Function):
    """Sum over the processes; what each put in moved the sum of all, so the gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _all_reduced(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _all_reduced(gradients[0])


def _all_reduced(values: Tensor) -> Tensor:
    total = values.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


ALONE = Ranks()


def in_torchrun() -> bool:
    """Return whether torchrun started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def with_ranks(device: torch.device, work: Callable[[Ranks, torch.device], Item]) -> Item:
    """Call `work` with this process's place and device, joined to the others where torchrun started several.

    Processes talk by gloo on the CPU and by nccl on CUDA, where each takes the GPU of its local rank. Raises
    DeviceError if there are fewer GPUs than processes.
    """
    if not in_torchrun():
        return work(ALONE, device)
    if device.type == "cuda":
        device = _own_gpu()
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        return work(Ranks(rank=dist.get_rank(), size=dist.get_world_size()), device)
    finally:
        dist.destroy_process_group()


def _own_gpu() -> torch.device:
    local, found = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= found:
        raise DeviceError(
            f"torchrun started {local + 1} or more processes, torch finds {found} CUDA devices",
            hint=f"use --nproc-per-node {found}, or --device cpu",
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def mean_gradients(parameters: Iterable[nn.Parameter], ranks: Ranks) -> None:
    """Replace every gradient by its mean over the processes, in one exchange (DistributedDataParallel's rule)."""
    if ranks.size == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= ranks.size
    for gradient, part in zip(gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))


class SharedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm whose statistics in train mode are those of the frames of all processes.

    torch's SyncBatchNorm runs on GPUs alone, where it is used; this one runs wherever the process group does.
    Two exchanges (means, then squared deviations) keep it as exact as BatchNorm.
    """

    ranks = ALONE

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        values = x if x.dtype == torch.float64 else x.float()
        count = values.numel() // values.shape[1] * self.ranks.size
        mean = self.ranks.sum(values.sum((0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = self.ranks.sum(centred.square().sum((0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * count / max(count - 1, 1))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def share_batch_norm(network: nn.Module, ranks: Ranks, device: torch.device) -> None:
    """Make every BatchNorm of a network share its statistics among the processes; names and values stay."""
    if ranks.size == 1:
        return
    for module in network.modules():
        if type(module) is not nn.BatchNorm2d:
            continue
        if device.type == "cuda":
            # it keeps the attributes of BatchNorm2d and adds this one
            module.__class__ = nn.SyncBatchNorm  # type: ignore[assignment]
            module.process_group = None  # type: ignore[assignment]
        else:
            module.__class__ = SharedBatchNorm2d
            assert isinstance(module, SharedBatchNorm2d)
            module.ranks = ranks
