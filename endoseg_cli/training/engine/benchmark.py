"""Time the no-gradient part of a training step: every pass a whole forward pass, against the fast schedule."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from endoseg_cli.data.views.augment import random_generator
from endoseg_cli.data.views.augment_config import CutMixConfig
from endoseg_cli.data.views.cutmix import box_mask, paste_box, sample_cutmix_box
from endoseg_cli.errors import UsageError
from endoseg_cli.networks.architecture.encoder_names import EncoderName
from endoseg_cli.networks.architecture.unet import UNet, UNetConfig
from endoseg_cli.networks.files.bundle import MOST_SIDE
from endoseg_cli.networks.running.device import resolve_device
from endoseg_cli.training.strategies.dropout import DropoutDraw, split_factors
from endoseg_cli.training.strategies.teacher import TeacherMaps, TeacherViews, teach

SEED = 0


@dataclass(frozen=True, kw_only=True)
class TrainBenchmarkConfig:
    """What is timed."""

    encoder: EncoderName = "resnet34"
    """Encoder of the network."""
    size: tuple[int, int] = (256, 256)
    """Height and width of the frames."""
    batch_size: int = 4
    """Labelled frames, and as many unlabelled ones."""
    num_passes: int = 5
    """K, the stochastic passes over each weak view."""
    repeats: int = 5
    """Batches that are timed, each with its own CutMix boxes, after one that is not."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:n or mps."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "num_passes", "repeats"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1, found {getattr(self, name)}")
        if not all(32 <= side <= MOST_SIDE for side in self.size):
            raise UsageError(f"--size must be 32 to {MOST_SIDE} pixels in height and width, found {self.size}")


@dataclass(frozen=True, kw_only=True)
class TrainBenchmark:
    """What was found, for one network."""

    plain_seconds: float
    """Median time of the plain schedule: 2 K forward passes of the unlabelled frames, 1 of the labelled ones."""
    fast_seconds: float
    """Median time of the fast schedule on the same batches."""
    ratio: float
    """Fast over plain, as the sums of all batches."""
    largest_difference: float
    """Largest difference of any probability between the two."""
    boxed: float
    """Share of the frames that had a CutMix box."""

    def to_dict(self) -> dict[str, float]:
        """Return the result as JSON takes it."""
        return asdict(self)


def benchmark_train(config: TrainBenchmarkConfig) -> TrainBenchmark:
    """Time both schedules on random pictures with one random network, in turns, in this process."""
    device = resolve_device(config.device)
    torch.manual_seed(SEED)
    network = UNet(UNetConfig(encoder=config.encoder)).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    plain: list[float] = []
    fast: list[float] = []
    differences: list[float] = []
    boxed = 0
    for repeat in range(-1, config.repeats):
        views, dropout = _draw(config, network, repeat + 1, device)
        slow_maps, slow_seconds = _timed(lambda: plain_schedule(network, views, *dropout), device)  # noqa: B023
        fast_maps, fast_seconds = _timed(lambda: teach(network, views, *dropout), device)  # noqa: B023
        if repeat < 0:  # memory is taken and kernels are chosen the first time
            continue
        plain.append(slow_seconds)
        fast.append(fast_seconds)
        boxed += len(views.boxed)
        differences.append(float((slow_maps.passes - fast_maps.passes).abs().max()))
    return TrainBenchmark(
        plain_seconds=statistics.median(plain),
        fast_seconds=statistics.median(fast),
        ratio=sum(fast) / sum(plain),
        largest_difference=max(differences),
        boxed=boxed / (config.repeats * config.batch_size),
    )


@torch.no_grad()
def plain_schedule(network: UNet, views: TeacherViews, dropout_1: Tensor, dropout_2: Tensor) -> TeacherMaps:
    """Return what `teach` returns, by a whole forward pass for each of the K passes over w1 and over w2."""
    network.eval()

    def one_pass(pictures: Tensor, factors: Tensor) -> Tensor:
        height, width = pictures.shape[-2:]
        masks = split_factors(factors.to(pictures.dtype), network.config)
        return torch.sigmoid(network.decode(network.encode(pictures), masks)[..., :height, :width])

    first = torch.stack([one_pass(views.weak_1, factors) for factors in dropout_1])
    second = torch.stack([one_pass(views.weak_2, factors) for factors in dropout_2])
    labeled = torch.sigmoid(network(views.labeled))
    return TeacherMaps(passes=paste_box(first, second, views.boxes), labeled=labeled)


def _draw(
    config: TrainBenchmarkConfig, network: UNet, step: int, device: torch.device
) -> tuple[TeacherViews, tuple[Tensor, Tensor]]:
    frames = config.batch_size
    generator = torch.Generator().manual_seed(step)
    pictures = torch.randn(3 * frames, 3, *config.size, generator=generator)
    pictures = pictures.to(device, memory_format=torch.channels_last)
    # every other frame has a box, where training draws one for half of them: few batches then cost what many do
    always = CutMixConfig(probability=1.0)
    drawn = [
        sample_cutmix_box(config.size, random_generator(SEED, step, index, "cutmix"), always)
        if (step + index) % 2
        else None
        for index in range(frames)
    ]
    views = TeacherViews(
        weak_1=pictures[:frames],
        weak_2=pictures[frames : 2 * frames],
        boxes=torch.stack([box_mask(box, config.size) for box in drawn]).to(device),
        boxed=torch.tensor([index for index, box in enumerate(drawn) if box is not None], dtype=torch.int64).to(device),
        labeled=pictures[2 * frames :],
    )
    draw = DropoutDraw(config=network.config, seed=SEED, step=step, network=0)
    first, second = (draw.factors(name, frames, config.num_passes).to(device) for name in ("weak-1", "weak-2"))
    return views, (first, second)


def _timed(work: Callable[[], TeacherMaps], device: torch.device) -> tuple[TeacherMaps, float]:
    _settle(device)
    began = time.perf_counter()
    maps = work()
    _settle(device)
    return maps, time.perf_counter() - began


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
