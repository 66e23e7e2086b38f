"""What a benchmark ran on, so that two of them can be compared; nothing that names the machine or its user."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from endoseg_cli import __version__
from endoseg_cli.errors import UsageError
from endoseg_cli.networks.files.runtimes import packages
from endoseg_cli.networks.running.device import computes_bf16, cpu_name

SCHEMA = "endoseg.benchmark"
SCHEMA_VERSION = 1
"""Raised when a number gets another meaning or another place."""
MOST_THREADS = 1024


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return processor, memory, versions and load of this machine, and the device that is measured."""
    return {
        "processor": cpu_name(),
        "cores": os.cpu_count(),
        "usable_cores": _usable_cores(),
        "memory_bytes": _memory(),
        "load_before": _load(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "endoseg": __version__,
        "packages": {**packages(), "av": _version("av"), "opencv": _opencv()},
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
        "cpu_computes_bf16": computes_bf16(),
    }


def report(kind: str, machine: dict[str, Any], settings: dict[str, Any], **found: Any) -> dict[str, Any]:
    """Return what --json prints: what was measured, where, how, and all numbers."""
    head = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "benchmark": kind}
    return {**head, "machine": machine, "settings": settings, **found}


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch compute in so many threads meanwhile; None changes nothing. Raises UsageError."""
    if count is not None and not 1 <= count <= MOST_THREADS:
        raise UsageError(f"--threads must be 1 to {MOST_THREADS}, found {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _usable_cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _load() -> float | None:
    """Return how many processes ran in the last minute: what else the machine was doing."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _opencv() -> str | None:
    return _version("opencv-python-headless") or _version("opencv-python")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
