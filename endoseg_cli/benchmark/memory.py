"""The peak of memory that a piece of work takes."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, kw_only=True)
class Peak:
    """The most memory that there was."""

    resident: int | None
    """Bytes of the process in the machine's memory; None where it cannot be known."""
    of_run: bool
    """Whether that is the peak since `MemoryWatch` began, as on Linux; else of the whole process."""
    device: int | None
    """Bytes of tensors on a CUDA device since then; None elsewhere."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for --json."""
        return {"resident_bytes": self.resident, "of_this_run_alone": self.of_run, "device_bytes": self.device}


class MemoryWatch:
    """Watches the peak from when it is made."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._reset = False
        with suppress(OSError):
            _RESET.write_text("5")  # Linux: the peak of the process begins anew
            self._reset = True
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def peak(self) -> Peak:
        """Return the peak so far."""
        own = _peak_of_run() if self._reset else None
        return Peak(
            resident=_peak_of_process() if own is None else own,
            of_run=own is not None,
            device=torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else None,
        )


def _peak_of_run() -> int | None:
    with suppress(OSError):
        for line in _STATUS.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def _peak_of_process() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
