"""Where and in which precision a model runs."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

import torch

from endoseg_cli.errors import DeviceError, UsageError

Precision = Literal["auto", "fp32", "bf16", "fp16"]
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
BYTES_A_PIXEL = 1000
"""What a frame of a batch takes at most while a network looks at it: in fp32, on a CPU, 390 (efficientnet_lite0) to 640
(resnet50), and room for what libraries take for themselves."""
_CPU_FACTS = Path("/proc/cpuinfo")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


def resolve_device(name: str) -> torch.device:
    """Return the device called auto, cpu, cuda, cuda:n or mps; auto is the first of cuda, mps and cpu that there is.

    Raises UsageError for another name, DeviceError for a device that this machine lacks.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if not re.fullmatch(r"cpu|mps|cuda(:(0|[1-9]\d?))?", name):  # torch itself fails on cuda:01 and on cuda:999
        raise UsageError(f"--device {name} is not known", hint="use auto, cpu, cuda, cuda:0 or mps")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"--device {name}: torch finds no CUDA device on this machine", hint="use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        names = ", ".join(f"cuda:{index}" for index in range(count))
        raise DeviceError(f"--device {name}: torch finds {count} CUDA device(s) only", hint=f"use {names}")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("--device mps: torch finds no Metal device on this machine", hint="use --device cpu")
    return device


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the type that convolutions compute in; auto is fp16 on CUDA and fp32 elsewhere."""
    if precision not in get_args(Precision):
        raise UsageError(f"--precision {precision} is not known", hint=f"use {', '.join(get_args(Precision))}")
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    return _DTYPES[precision]


@contextmanager
def whole_precision(device: torch.device) -> Iterator[None]:
    """Let convolutions in fp32 keep all their digits: GPUs would round what they multiply to 10 bits (TF32)."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def computes_bf16() -> bool:
    """Whether the CPU computes in bfloat16 by itself; where that cannot be known, False.

    So too where oneDNN, which does it for torch, is held to older instructions (its variable ONEDNN_MAX_CPU_ISA).
    """
    if not re.fullmatch(r"|DEFAULT|.*(BF16|FP16|AMX|AVX10).*", os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()):
        return False
    return bool(_BF16_FLAGS & set(_cpu_fact("flags").split()))


def cpu_name() -> str:
    """Return what the CPU calls itself."""
    return _cpu_fact("model name") or platform.processor() or platform.machine()


def _cpu_fact(name: str) -> str:
    """Return what Linux says of the first core; empty where it says nothing, or elsewhere."""
    try:
        lines = _CPU_FACTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def default_batch_size(device: torch.device, size: tuple[int, int]) -> int:
    """Return how many frames of `size` = (height, width) to predict together.

    Enough to keep the device busy, few enough for any memory: on a GPU, for a quarter of what is free now.
    """
    if device.type != "cuda":
        return 4
    free, _ = torch.cuda.mem_get_info(device)
    fits = free // 4 // (size[0] * size[1] * BYTES_A_PIXEL)
    return next((batch for batch in (16, 8, 4, 2) if batch <= fits), 1)
