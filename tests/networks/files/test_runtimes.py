from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.networks.files import runtimes, speed_probe
from endoseg_cli.networks.files.bundle import load_bundle
from endoseg_cli.networks.files.models import resolve_weights
from endoseg_cli.networks.files.runtimes import RuntimeChoice, choose_runtime, is_installed
from endoseg_cli.networks.files.speed_probe import faster_precision, read_probes
from endoseg_cli.networks.running import device
from endoseg_cli.networks.running.device import computes_bf16
from endoseg_cli.phantom.dataset import render_still
from endoseg_cli.phantom.world.config import PhantomConfig
from endoseg_cli.pictures.resize import resize_frame
from tests.networks.tiny import tiny_bundle

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: fpu {flags} sse2\n")
    monkeypatch.setattr(device, "_CPU_FACTS", tmp_path / "cpuinfo")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)


def test_auto_takes_openvino_only_on_a_cpu_with_bf16(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda name: object())
    for flags, runtime in (("avx512f", "torch"), ("avx512_bf16", "openvino"), ("amx_bf16", "openvino")):
        _cpu(monkeypatch, tmp_path, flags)
        assert choose_runtime("auto", CPU) == runtime
    assert choose_runtime("auto", torch.device("cuda")) == "torch"
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
    assert computes_bf16() and choose_runtime("auto", CPU) == "torch"


def test_a_runtime_that_cannot_be_had_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="--runtime openvino needs the packages openvino and onnx") as caught:
        choose_runtime("openvino", CPU)
    assert caught.value.hint == 'pip install "endoseg-cli[openvino]"'
    with pytest.raises(UsageError, match="runs on the CPU alone"):
        choose_runtime("onnx", torch.device("cuda"))
    with pytest.raises(UsageError, match="is not known"):
        choose_runtime("tensorrt", CPU)  # type: ignore[arg-type]


def test_a_cpu_held_to_older_instructions_has_no_bf16(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _cpu(monkeypatch, tmp_path, "avx512_bf16")
    for held, expected in (("AVX512_CORE", False), ("avx2", False), ("AVX512_CORE_BF16", True), ("DEFAULT", True)):
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", held)
        assert computes_bf16() is expected


def test_a_small_gain_is_not_worth_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.2] * 3 + [0.0, 1.0] * 3)
    monkeypatch.setattr("endoseg_cli.networks.files.speed_probe.time.perf_counter", lambda: next(clock))
    assert faster_precision(lambda dtype: None, "a model") == torch.float32


def test_the_faster_precision_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[torch.dtype] = []
    clock = iter([0.0, 2.0] * 3 + [0.0, 1.0] * 3)
    monkeypatch.setattr("endoseg_cli.networks.files.speed_probe.time.perf_counter", lambda: next(clock))
    assert faster_precision(ran.append, "a model") == torch.bfloat16
    assert set(ran) == {torch.float32, torch.bfloat16}
    ran.clear()
    assert faster_precision(ran.append, "a model") == torch.bfloat16 and not ran
    (speeds,) = read_probes().values()
    assert speeds == {"fp32": 2000.0, "bf16": 1000.0}


def test_speeds_are_of_one_cpu_and_one_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(cpu: str, torch_version: str, model: str = "a model") -> None:
        monkeypatch.setattr(speed_probe, "cpu_name", lambda: cpu)
        monkeypatch.setattr(torch, "__version__", torch_version)
        faster_precision(lambda dtype: None, model)

    measure("Old", "2.8")
    measure("New", "2.8")
    assert set(read_probes()) == {"a model, torch 2.8 on Old", "a model, torch 2.8 on New"}
    measure("New", "2.9")
    measure("New", "2.9", "another")
    assert set(read_probes()) == {
        "a model, torch 2.8 on Old",
        "a model, torch 2.9 on New",
        "another, torch 2.9 on New",
    }


def test_a_damaged_file_of_speeds_is_measured_anew() -> None:
    speed_probe.probe_file().parent.mkdir(parents=True)
    speed_probe.probe_file().write_text("[1")
    assert read_probes() == {}
    speed_probe.probe_file().write_text('{"a": {"fp32": "fast"}}')
    assert read_probes() == {}


@pytest.mark.parametrize("runtime", ["openvino", "onnx"])
@pytest.mark.parametrize("side", [64, 50])
def test_other_runtimes_agree_with_torch(runtime: RuntimeChoice, side: int) -> None:
    if runtime != "auto" and not is_installed(runtime):
        pytest.skip(f"{runtime} is not installed")
    bundle = tiny_bundle(class_names=("a", "b"), side=side)
    frames = [np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8) for seed in range(3)]
    expected = Predictor(bundle, device="cpu", batch_size=2).predict_with_uncertainty(frames)
    other = Predictor(bundle, device="cpu", batch_size=2, runtime=runtime, precision="fp32")
    for mine, wanted in zip(other.predict_with_uncertainty(frames), expected, strict=True):
        np.testing.assert_allclose(mine, wanted, atol=1e-4)
    again = Predictor(bundle, device="cpu", batch_size=2, runtime=runtime, precision="fp32")  # from the cache
    np.testing.assert_array_equal(again.predict(frames), other.predict(frames))
    assert other.runtime == runtime and other.half_precision == ""
    flipped = Predictor(bundle, device="cpu", tta="flips")
    turned = Predictor(bundle, device="cpu", tta="flips", runtime=runtime, precision="fp32")
    np.testing.assert_allclose(turned.predict(frames), flipped.predict(frames), atol=1e-4)


def test_what_openvino_cannot_read_any_more_is_made_anew(tmp_path: Path) -> None:
    if not is_installed("openvino"):
        pytest.skip("openvino is not installed")
    bundle = tiny_bundle(side=32)
    frames = [np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8) for seed in range(3)]
    expected = Predictor(bundle, device="cpu", runtime="openvino", precision="fp32").predict(frames)
    (file,) = (tmp_path / "cache").rglob("*.onnx")
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b""):
        for blob in file.parent.glob("*.blob"):
            blob.unlink()
        file.write_bytes(content)
        found = Predictor(bundle, device="cpu", runtime="openvino", precision="fp32").predict(frames)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert file.stat().st_size == len(whole)


def test_openvino_gives_frames_in_their_order_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_installed("openvino"):
        pytest.skip("openvino is not installed")
    bundle = tiny_bundle(side=32)
    frames = [np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8) for seed in range(7)]
    expected = Predictor(bundle, device="cpu").predict(frames)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for batch_size in (1, 2, 3, 4, 8):
        found = Predictor(bundle, device="cpu", batch_size=batch_size, runtime="openvino", precision="fp32")
        np.testing.assert_allclose(found.predict(frames), expected, atol=1e-4)


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_half_precision_draws_the_same_masks(runtime: RuntimeChoice) -> None:
    if runtime == "openvino" and not is_installed("openvino"):
        pytest.skip("openvino is not installed")
    bundle = load_bundle(resolve_weights(None))
    config = PhantomConfig(seed=3)
    frames = [resize_frame(render_still(config, index).picture, bundle.card.input_size) for index in range(6)]
    full = Predictor(bundle, device="cpu").predict(frames) > 0.5
    half = Predictor(bundle, device="cpu", runtime=runtime, precision="bf16")
    assert half.half_precision == "bf16"
    masks = half.predict(frames) > 0.5
    assert full.any()
    pairs = [(one, other) for one, other in zip(full, masks, strict=True) if one.any() or other.any()]
    dice = [2 * (one & other).sum() / (one.sum() + other.sum()) for one, other in pairs]
    assert np.mean(dice) >= 0.97, dice
