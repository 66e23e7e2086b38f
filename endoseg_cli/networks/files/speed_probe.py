"""Which precision is faster on this CPU: measured once, kept in the user's cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from endoseg_cli.networks.files.runtimes import cache_folder
from endoseg_cli.networks.running.device import cpu_name
from endoseg_cli.user_cache import keep_measured, read_measured

Speeds = dict[str, float]
"""Milliseconds of one batch, by the precision's name."""
REPEATS = 3
LEAST_GAIN = 1.25
"""How many times as fast as fp32 bf16 must be, which rounds and whose results depend on the size of the batch."""
_CANDIDATES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def probe_file() -> Path:
    """Return where measured speeds are kept."""
    return cache_folder() / "speeds.json"


def read_probes() -> dict[str, Speeds]:
    """Return what was measured before, by what it was measured of; a file that cannot be read holds nothing."""
    found = read_measured(probe_file())
    return {key: speeds for key, speeds in found.items() if isinstance(speeds, dict) and _is_whole(speeds)}


def faster_precision(run: Callable[[torch.dtype], object], key: str) -> torch.dtype:
    """Return bf16 where `run` takes clearly less time in it than in fp32, else fp32; `key` says of which model.

    One answer a model, whatever the batch and the number of threads, so that they do not change the masks; one for each
    CPU, as machines of different kinds may share a home. What other releases of torch took here is forgotten.
    """
    here = f" on {cpu_name()}"
    key = f"{key}, torch {torch.__version__}{here}"
    known = read_probes()
    if key not in known:
        known = {old: speeds for old, speeds in known.items() if _is_current(old, here)}
        known[key] = {name: _milliseconds(run, dtype) for name, dtype in _CANDIDATES.items()}
        keep_measured(probe_file(), known)
    speeds = known[key]
    return torch.bfloat16 if speeds["fp32"] >= LEAST_GAIN * speeds["bf16"] else torch.float32


def _is_current(key: str, here: str) -> bool:
    return " on " in key and (not key.endswith(here) or f", torch {torch.__version__}{here}" in key)


def _milliseconds(run: Callable[[torch.dtype], object], dtype: torch.dtype) -> float:
    """Return the least time of some runs, after one that prepares kernels."""
    run(dtype)
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run(dtype)
        taken.append(time.perf_counter() - began)
    return round(1000 * min(taken), 3)


def _is_whole(speeds: dict[Any, Any]) -> bool:
    return set(speeds) == set(_CANDIDATES) and all(isinstance(value, int | float) for value in speeds.values())
