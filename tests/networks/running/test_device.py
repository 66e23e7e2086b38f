from __future__ import annotations

import pytest
import torch

from endoseg_cli.errors import DeviceError, UsageError
from endoseg_cli.networks.running.device import default_batch_size, resolve_device, resolve_precision, whole_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == CPU
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize(
    "name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:01", "cuda:99999999999", "CPU", "", "cpu\n"]
)
def test_names_that_are_no_device_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not known") as caught:
        resolve_device(name)
    assert "auto, cpu" in (caught.value.hint or "")


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "cuda:0", "mps"):
        with pytest.raises(DeviceError, match=f"--device {name}: torch finds no") as caught:
            resolve_device(name)
        assert caught.value.exit_code == 6 and caught.value.hint == "use --device cpu"


def test_a_gpu_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda:1") and resolve_device("auto") == CUDA
    with pytest.raises(DeviceError, match="--device cuda:2: torch finds 2 CUDA device") as caught:
        resolve_device("cuda:2")
    assert caught.value.hint == "use cuda:0, cuda:1"


def test_auto_precision_is_half_on_cuda_alone() -> None:
    assert resolve_precision("auto", CUDA) == torch.float16 and resolve_precision("auto", CPU) == torch.float32
    assert resolve_precision("bf16", CPU) == torch.bfloat16 and resolve_precision("fp32", CUDA) == torch.float32
    with pytest.raises(UsageError, match="--precision fp8"):
        resolve_precision("fp8", CPU)  # type: ignore[arg-type]


def test_a_gpu_predicts_as_many_frames_together_as_fit_into_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def batch(free: int, side: int = 320) -> int:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 << 30))
        return default_batch_size(CUDA, (side, side))

    assert batch(40 << 30) == batch(8 << 30) == 16 and batch(2 << 30) == 4 and batch(1 << 20) == 1
    assert batch(8 << 30, 640) == 4 and default_batch_size(CPU, (640, 640)) == 4


def test_fp32_on_a_gpu_keeps_all_digits_and_leaves_others_theirs() -> None:
    before = torch.backends.cudnn.allow_tf32
    with whole_precision(CPU):
        assert torch.backends.cudnn.allow_tf32 == before
    with pytest.raises(ValueError), whole_precision(CUDA):
        assert not torch.backends.cudnn.allow_tf32
        raise ValueError
    assert torch.backends.cudnn.allow_tf32 == before
