"""What this machine has to share among processes: cores and memory."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Return how many cores this process may use: those of the machine, less where it or its container is bound."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = _words(_CGROUPS / "cpu.max", 2)
    if quota.isdecimal() and period.isdecimal() and int(period):
        cores = min(cores, max(int(quota) // int(period), 1))
    return cores


def available_memory() -> int | None:
    """Return the bytes that new processes may take without pushing others out; None where the system does not say."""
    free = _machine_memory()
    limit, used = _words(_CGROUPS / "memory.max", 1)[0], _words(_CGROUPS / "memory.current", 1)[0]
    if limit.isdecimal() and used.isdecimal():
        left = max(int(limit) - int(used) + _reclaimable(), 0)
        free = left if free is None else min(free, left)
    return free


def _machine_memory() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def _reclaimable() -> int:
    """Return the bytes of a container's file cache, which count as used but give way."""
    try:
        for line in (_CGROUPS / "memory.stat").read_text().splitlines():
            if line.startswith("inactive_file "):
                return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return 0


def _words(path: Path, count: int) -> list[str]:
    try:
        words = path.read_text().split()
    except OSError:
        words = []
    return (words + [""] * count)[:count]
