"""See whether a GPU predicts what the CPU does, and how fast, in minutes and without data, a network or PyAV.

    python examples/predict_on_gpu.py --out "$OUT"

Renders frames, predicts them on the CPU in fp32 and on the device in every precision, and corrects them; then times the
networks one frame at a time as in a plain loop, `Predictor` with batches of 1 to 64, each begun before the one before
it is done and each waited for, and whether it could capture them as a CUDA graph; then the parts of a batch: upload,
forward pass (as it is, with the decoder's upsampling done the other way, as a CUDA graph, with --compile compiled),
download, presence. Every check is told and kept in OUT/predict-on-gpu.json, none stops the others; the exit status is
1 if one fails. Without a GPU, `--device cpu --frames 4 --batches 1 2 --seconds 0.1` tries it.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endoseg_cli.benchmark.machine import describe_machine
from endoseg_cli.benchmark.measure import MeasureConfig, measure
from endoseg_cli.inference.predict.corrector import PredictedFrame
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.refine.refiner import RefineConfig, RefinedFrame, make_refiner
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.files.bundle import Bundle, load_bundle
from endoseg_cli.networks.files.models import resolve_weights
from endoseg_cli.networks.running.captured import Graph
from endoseg_cli.networks.running.device import Precision
from endoseg_cli.networks.running.prepared import prepared
from endoseg_cli.networks.running.presence import demand_presence
from endoseg_cli.part_file import write_whole
from endoseg_cli.phantom.dataset import clip_frames, clip_scene
from endoseg_cli.phantom.world.config import ClipConfig, PhantomConfig

Pixels = NDArray[np.uint8]
Maps = NDArray[np.float32]
Found = dict[str, Any]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
BATCHES = (1, 4, 16, 32, 64)
RATE = 25.0
"""Frames per second of the rendered clip."""
WARM_UP = 3
OTHER_UPSAMPLING = {False: "forward, nearest upsampling", True: "forward, transposed convolutions"}


def main() -> None:
    """Read the command line, and check and time everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", help="model file, run folder or name (default: polyp-lite)")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--frames", type=int, default=64, help="frames of the rendered clip")
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES), help="batch sizes to time")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long each repeat takes")
    parser.add_argument("--compile", action="store_true", help="time torch.compile too: a minute more")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    bundle = load_bundle(resolve_weights(arguments.weights))
    frames = rendered(arguments.frames, bundle.card.input_size)
    config = MeasureConfig(seconds=arguments.seconds, repeats=3)
    precisions = [each for each in PRECISIONS if each != "fp16" or device.type == "cuda"]

    if device.type == "cuda":
        torch.cuda.set_device(device)
    arguments.out.mkdir(parents=True, exist_ok=True)
    found: Found = {"machine": describe_machine(device), "frames": len(frames)}

    def keep(name: str, check: Callable[[], Any]) -> None:
        found[name] = told(name, check)
        write_whole(arguments.out / "predict-on-gpu.json", json.dumps(found, indent=1) + "\n")

    expected = told("on the CPU", partial(predict_and_correct, bundle, frames, "cpu", "fp32"))
    for precision in precisions:
        keep(f"agreement {precision}", partial(agreement, expected, bundle, frames, arguments.device, precision))
    keep("plain loop", partial(time_plain, bundle, frames, device, config))
    for size in arguments.batches:
        keep(f"predictor, batches of {size}", partial(time_predictor, bundle, frames, arguments.device, size, config))
    for precision in precisions:
        timing = partial(time_parts, bundle, frames, device, precision, config, compiled=arguments.compile)
        keep(f"parts {precision}", timing)
    found = {"on the CPU": expected, **found}
    failed = [name for name, each in found.items() if each is None or (name[:5] == "parts" and None in each.values())]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def rendered(count: int, size: tuple[int, int]) -> list[Pixels]:
    """Render a clip of so many frames (h, w, 3)."""
    clip = ClipConfig(seconds=max(count / RATE, 0.2), frames_per_second=RATE)
    scene = clip_scene(PhantomConfig(size=size), clip, 0)
    return [np.ascontiguousarray(frame.picture) for frame in islice(clip_frames(scene, size, clip), count)]


def predict_and_correct(
    bundle: Bundle, frames: Sequence[Pixels], device: str, precision: Precision
) -> tuple[Maps, Maps]:
    """Return probabilities of the networks, and of the corrective network over windows of their frames."""
    predictor = Predictor(bundle, device=device, precision=precision)
    maps = predictor.predict_with_uncertainty(frames)
    if predictor.corrective is None:
        return maps[0], maps[0]
    refiner = make_refiner(predictor, RefineConfig(choice="all"), 0.5)
    done: list[RefinedFrame] = []
    for index, (frame, one, another) in enumerate(zip(frames, *maps, strict=True)):
        done += refiner.step(PredictedFrame(picture=frame, probability=one, uncertainty=another, time=index / RATE))
    done += refiner.finish()
    return maps[0], np.stack([each.probability for each in done])


def agreement(
    expected: tuple[Maps, Maps] | None, bundle: Bundle, frames: Sequence[Pixels], device: str, precision: Precision
) -> Found:
    """Return how far the device's probabilities and masks are from the CPU's."""
    assert expected is not None, "the CPU must have predicted"
    found = predict_and_correct(bundle, frames, device, precision)
    return {
        name: {
            "largest difference": float(np.abs(one - another).max()),
            "mean Dice of the masks": float(np.mean([_dice(a, b) for a, b in _masks(one, another)])),
            "frames drawn in one alone": sum(bool(a.any() != b.any()) for a, b in _masks(one, another)),
        }
        for name, one, another in zip(("networks", "corrective network"), expected, found, strict=True)
    }


def _masks(one: Maps, another: Maps) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    return list(zip(one > 0.5, another > 0.5, strict=True))


def _dice(one: NDArray[np.bool_], another: NDArray[np.bool_]) -> float:
    total = one.sum() + another.sum()
    return 2 * float((one & another).sum()) / float(total) if total else 1.0


def time_plain(bundle: Bundle, frames: Sequence[Pixels], device: torch.device, config: MeasureConfig) -> Found:
    """Time what one would write by oneself: networks as they are, one frame at a time, in fp32."""
    networks = [copy.deepcopy(network).to(device).eval() for network in bundle.networks]
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (bundle.card.mean, bundle.card.std))

    def work(count: int) -> int:
        with torch.inference_mode():
            for index in range(count):
                image = torch.from_numpy(frames[index % len(frames)]).to(device).permute(2, 0, 1)[None].float() / 255
                image = (image - mean) / std
                torch.stack([torch.sigmoid(network(image)) for network in networks]).mean(0).cpu()
        return count

    return measure(work, config, first=WARM_UP).to_dict()


def time_predictor(bundle: Bundle, frames: Sequence[Pixels], device: str, size: int, config: MeasureConfig) -> Found:
    """Time `Predictor` as `segment --refine flagged` uses it, in its own precision, and each batch waited for."""
    predictor = Predictor(bundle, device=device, batch_size=size)

    def batch(number: int) -> list[Pixels]:
        return [frames[(number * size + each) % len(frames)] for each in range(size)]

    def one_by_one(count: int) -> int:
        batches = max(round(count / size), 1)
        for number in range(batches):
            predictor.predict_with_uncertainty(batch(number))
        return batches * size

    def overlapping(count: int) -> int:
        batches = max(round(count / size), 1)
        waiting = predictor.begin(batch(0), with_uncertainty=True)
        for number in range(1, batches):
            begun = predictor.begin(batch(number), with_uncertainty=True)
            waiting()
            waiting = begun
        waiting()
        return batches * size

    _forget_peak(predictor.device)
    timing = measure(overlapping, config, first=WARM_UP * size).to_dict()
    captured = predictor._captured
    return {
        **timing,
        "one by one": measure(one_by_one, config, first=size).to_dict(),
        "as a CUDA graph": captured is not None and captured.is_captured,
        "frames together": predictor.batch_size,  # fewer where the memory did not suffice
        "precision": predictor.half_precision or "fp32",
        "peak bytes": _peak(predictor.device) or "not known",
    }


def time_parts(
    bundle: Bundle,
    frames: Sequence[Pixels],
    device: torch.device,
    precision: Precision,
    config: MeasureConfig,
    *,
    compiled: bool,
) -> Found:
    """Time the parts of a batch alone, each waited for, with batches as they are by default."""
    predictor = Predictor(bundle, device=str(device), precision=precision)
    size = predictor.batch_size
    batch = np.stack([frames[each % len(frames)] for each in range(size)])
    is_half = predictor.precision != torch.float32

    def uploaded() -> Tensor:
        images = predictor._normalise(torch.from_numpy(batch).permute(0, 3, 1, 2).to(device))
        return images.contiguous(memory_format=torch.channels_last)

    def forward(images: Tensor, networks: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
        with torch.autocast(device.type, predictor.precision, enabled=is_half):
            return torch.stack([torch.sigmoid(network(images).float()) for network in networks]).mean(0)

    @torch.inference_mode()
    def as_a_graph() -> Callable[[], object]:
        pixels = torch.from_numpy(batch).permute(0, 3, 1, 2).to(device)
        graph = Graph(predictor._logits, pixels)
        return lambda: graph.replay(pixels)

    def one_by_one(work: Callable[[], object]) -> Callable[[int], int]:
        def run(count: int) -> int:
            with torch.inference_mode():
                for _ in range(max(round(count / size), 1)):
                    work()
                    _wait(device)
            return max(round(count / size), 1) * size

        return run

    def timed_alone(work: Callable[[], object]) -> Found:
        return measure(one_by_one(work), config, first=WARM_UP * size).to_dict()

    networks = predictor._torch.networks
    # `prepared` upsamples by transposed convolutions on CPUs alone, as nobody knows what a GPU makes of them
    merges = networks[0].transposes_upsampling

    @cache
    def others() -> list[UNet]:
        made = [prepared(network, device) for network in bundle.networks]
        for one in made:
            one.transpose_upsampling(on=not merges)
        return made

    with torch.inference_mode():
        images = uploaded()
        maps = forward(images, networks)
        said: Maps = maps.cpu().numpy()
    works: dict[str, Callable[[], object]] = {
        "upload and normalise": uploaded,
        "forward": lambda: forward(images, networks),
        OTHER_UPSAMPLING[not merges]: lambda: forward(images, others()),
        "download": lambda: maps.cpu(),
        "presence": lambda: demand_presence(said, predictor.presence),
    }
    found: Found = {"batch": size}
    if device.type == "cuda":
        graph = told("capture as a CUDA graph", as_a_graph)
        found["normalise and forward as a CUDA graph"] = None
        if graph is not None:
            works["normalise and forward as a CUDA graph"] = graph
    if compiled:
        fast = [torch.compile(network, mode="max-autotune-no-cudagraphs") for network in networks]
        works["forward compiled"] = lambda: forward(images, fast)
    for name, work in works.items():
        found[name] = told(name, partial(timed_alone, work))
    return found


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def told(name: str, check: Callable[[], Any]) -> Any:
    """Return what a check finds, telling it and how long it took; None where it fails."""
    began = time.monotonic()
    try:
        found = check()
        shown = "done"
        if isinstance(found, dict):
            shown = (
                "done" if "batch" in found else str({name: value for name, value in found.items() if name != "seconds"})
            )
    except Exception as error:
        found, shown = None, f"FAILED: {type(error).__name__}: {error}"
    print(f"{name}: {shown} ({time.monotonic() - began:.1f} s)", flush=True)
    return found


if __name__ == "__main__":
    main()
