"""Frames to lesion probabilities: the mean of both networks' sigmoids."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Literal, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endoseg_cli.errors import DeviceError, UsageError
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.files.bundle import Bundle, ModelCard
from endoseg_cli.networks.files.runtimes import (
    Logits,
    RuntimeChoice,
    RuntimeName,
    choose_runtime,
    onnx_logits,
    openvino_logits,
)
from endoseg_cli.networks.files.speed_probe import faster_precision
from endoseg_cli.networks.running.captured import Captured
from endoseg_cli.networks.running.device import (
    Precision,
    computes_bf16,
    default_batch_size,
    resolve_device,
    resolve_precision,
    whole_precision,
)
from endoseg_cli.networks.running.ensemble import mean, mean_and_each, mean_and_uncertainty
from endoseg_cli.networks.running.flips import over_flips
from endoseg_cli.networks.running.fusion import fuse_for_prediction
from endoseg_cli.networks.running.normalise import Normaliser
from endoseg_cli.networks.running.prepared import prepared
from endoseg_cli.networks.running.presence import check_presence, demand_presence, is_close
from endoseg_cli.networks.running.side_by_side import on_few_threads
from endoseg_cli.networks.running.torch_networks import TorchNetworks
from endoseg_cli.networks.running.transfers import Arriving, transfers_for
from endoseg_cli.pictures.field_of_view import FieldOfView, find_field_of_view, whole_frame
from endoseg_cli.pictures.resize import resize_frame

NetworkChoice = Literal["both", "1", "2"]
TestTimeAugmentation = Literal["off", "flips"]
"""flips: the mean over a frame and its mirror images, left-right, upside down and both."""
Pixels = NDArray[np.uint8]
Item = TypeVar("Item")
Result = TypeVar("Result")
# What torch says where it has no exception of its own: CPU, Metal, cuDNN. "illegal memory access" is something else.
_OUT_OF_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory|ALLOC_FAILED")
Probability = NDArray[np.float32]
Reduce = Callable[[Sequence[Tensor]], Tensor]
"""The networks' logits, each (N, C, h, w), to (N, K, C, h, w)."""
BATCH_OF_TWO_NETWORKS = 2
"""Frames together on a CPU, where each network has its own thread: as fast as more, whose memory each would keep. Not
fewer or more by the number of threads, so that masks do not change with it."""
LARGEST_BATCH = 4096
"""More frames together are a mistake that would exhaust the memory."""


class Predictor:
    """A model on a device, ready to predict; the batch shrinks by itself where the device's memory does not suffice.

    Raises UsageError for a network that the model lacks, DeviceError for a device that the machine lacks.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        network: NetworkChoice = "both",
        batch_size: int | None = None,
        presence: float | None = None,
        tta: TestTimeAugmentation = "off",
        runtime: RuntimeChoice = "torch",
    ) -> None:
        """`presence` goes before the card's: see `demand_presence`; `tta` flips takes four times as long."""
        self._flips = tta == "flips"
        self.card: ModelCard = bundle.card
        self.presence = self.card.presence if presence is None else presence
        self.network: NetworkChoice = "1" if network == "both" and len(bundle.networks) == 1 else network
        check_presence(self.presence)
        self.device = resolve_device(device)
        self.runtime: RuntimeName = choose_runtime(runtime, self.device)
        """What runs the networks; the corrective network always runs in torch."""
        chosen = choose_networks(bundle, network)
        in_pairs = self.runtime == "torch" and self.device.type == "cpu" and len(chosen) > 1
        self._usual_batch = BATCH_OF_TWO_NETWORKS if in_pairs else default_batch_size(self.device, self.input_size)
        self.batch_size = self._usual_batch if batch_size is None else batch_size
        if not 1 <= self.batch_size <= LARGEST_BATCH:
            raise UsageError(f"--batch-size must be 1 to {LARGEST_BATCH}, found {self.batch_size}")
        self.precision = resolve_precision(precision, self.device)
        self.corrective_precision = self.precision
        corrective = bundle.corrective
        self.corrective = None if corrective is None else fuse_for_prediction(corrective).to(self.device)
        networks = [prepared(one, self.device, reshape=self.runtime != "onnx") for one in chosen]
        self._torch = TorchNetworks(networks, side_by_side=in_pairs)
        self._run_networks: Logits = self._torch
        self._normalise = Normaliser(bundle.card.mean, bundle.card.std, self.device)
        self._transfers = transfers_for(self.device)
        self._captured = Captured() if self.device.type == "cuda" else None
        self._computing = Lock()
        if runtime == "auto" and precision == "auto" and self.device.type == "cpu" and computes_bf16():
            self.precision = self._faster_precision() if self.runtime == "torch" else torch.bfloat16
        _check_precision(self.runtime, self.precision)
        if self.runtime == "openvino":
            self._run_networks = openvino_logits(networks, self.input_size, self.precision, batch_size=self.batch_size)
        elif self.runtime == "onnx":
            self._run_networks = onnx_logits(networks, self.input_size)

    def beside(self, work: Callable[[Item], Result]) -> Callable[[Item], Result]:
        """Return smaller `work` with torch, for a thread that works while the networks do and leaves them the cores."""
        return on_few_threads(work) if self.device.type == "cpu" else work

    @property
    def half_precision(self) -> str:
        """bf16 or fp16 where the networks compute in it, else empty."""
        return {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(self.precision, "")

    def compute_as(self, half_precision: str) -> None:
        """Let torch compute as another process found it faster here; empty is fp32."""
        if self.runtime == "torch":
            self.precision = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(half_precision, torch.float32)

    def _faster_precision(self) -> torch.dtype:
        """Return the faster of fp32 and bf16 for torch on this CPU, measured with the default batch."""
        images = torch.zeros(self._usual_batch, 3, *self.input_size)
        images = images.contiguous(memory_format=torch.channels_last)

        @torch.inference_mode()
        def run(dtype: torch.dtype) -> None:
            with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
                self._run_networks(images)

        height, width = self.input_size
        model = " + ".join(f"{each.encoder} {each.decoder_channels}" for each in dict.fromkeys(self.card.architectures))
        return faster_precision(run, f"{model} at {width}x{height}, transposed")

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the frames that `predict` takes and of the maps it returns."""
        return self.card.input_size

    def predict(self, frames: Sequence[Pixels]) -> Probability:
        """Return probabilities (N, C, h, w) in [0, 1] of N frames (h, w, 3) uint8 RGB at the model's input size.

        The mean of the networks' sigmoids, as Endo-SemiS predicts. Raises DeviceError if even a single frame does not
        fit into the device's memory.
        """
        return demand_presence(self._in_batches(frames, mean)[:, 0], self.presence)

    def predict_with_uncertainty(self, frames: Sequence[Pixels]) -> tuple[Probability, Probability]:
        """Return what `predict` does, and the networks' expected entropy (N, C, h, w) in nats (networks.ensemble)."""
        both = self._in_batches(frames, mean_and_uncertainty)
        return demand_presence(both[:, 0], self.presence), both[:, 1]

    @property
    def overlaps(self) -> bool:
        """Whether the device computes by itself, so that `begin` returns before a batch is done."""
        return self.device.type == "cuda"

    def begin(
        self, frames: Sequence[Pixels], *, with_uncertainty: bool
    ) -> Callable[[], tuple[Probability, Probability | None]]:
        """Begin `predict`, or `predict_with_uncertainty`, and return what waits for the maps; both raise as those do.

        On a GPU another batch may be begun meanwhile; elsewhere all is done at once.
        """
        if not self.overlaps:
            done = self.predict_with_uncertainty(frames) if with_uncertainty else (self.predict(frames), None)
            return lambda: done
        self._check_sizes(frames)
        reduce = mean_and_uncertainty if with_uncertainty else mean
        fits = len(frames) <= self.batch_size
        begun = self._unless_full(len(frames), lambda: self._begun(np.stack(frames), reduce)) if fits else None

        def wait() -> tuple[Probability, Probability | None]:
            ended = None if begun is None else self._unless_full(len(frames), lambda: self._ended(begun))
            maps = self._in_batches(frames, reduce) if ended is None else ended
            probability = demand_presence(maps[:, 0], self.presence)
            return probability, maps[:, 1] if with_uncertainty else None

        return wait

    def predict_any_size(self, frames: Sequence[Pixels]) -> list[Probability]:
        """Return a probability map (C, H, W) at the size of each frame (H, W, 3), whatever its size.

        Each frame is cropped to the endoscope's picture if the model's card says so; the map is 0 outside it.
        """
        return [maps[0] for maps in self._any_size(frames, lambda small: self.predict(small)[:, None])]

    def predict_each_any_size(self, frames: Sequence[Pixels]) -> list[list[Probability]]:
        """Return what `predict_any_size` does, followed by the map of each network alone, for each frame."""
        return self._any_size(frames, self._predict_each)

    def _predict_each(self, frames: Sequence[Pixels]) -> Probability:
        maps = self._in_batches(frames, mean_and_each)  # (N, 1 + networks, C, h, w)
        return np.stack([demand_presence(maps[:, index], self.presence) for index in range(maps.shape[1])], axis=1)

    def _any_size(
        self, frames: Sequence[Pixels], work: Callable[[Sequence[Pixels]], Probability]
    ) -> list[list[Probability]]:
        crops = self.card.field_of_view == "auto"
        boxes = [find_field_of_view(frame) if crops else whole_frame(*frame.shape[:2]) for frame in frames]
        cropped = [box.crop(frame) for box, frame in zip(boxes, frames, strict=True)]
        small = work([resize_frame(picture, self.input_size) for picture in cropped])
        return [
            [paste_probability(each, frame.shape[:2], box) for each in maps]
            for maps, frame, box in zip(small, frames, boxes, strict=True)
        ]

    def _in_batches(self, frames: Sequence[Pixels], reduce: Reduce) -> Probability:
        self._check_sizes(frames)
        maps: list[Probability] = []
        while len(maps) < len(frames):
            batch = frames[len(maps) : len(maps) + self.batch_size]
            done = self._unless_full(len(batch), partial(self._predict_batch, np.stack(batch), reduce))
            maps.extend(() if done is None else done)
        return np.stack(maps)

    def _check_sizes(self, frames: Sequence[Pixels]) -> None:
        assert all(frame.shape == (*self.input_size, 3) for frame in frames), "frames come at the model's input size"

    def _predict_batch(self, frames: Pixels, reduce: Reduce) -> Probability:
        return self._ended(self._begun(frames, reduce))

    @torch.inference_mode()
    def _begun(self, frames: Pixels, reduce: Reduce) -> _Begun:
        """Let the device make `reduce`'s maps of the networks' logits, (N, K, C, h, w)."""
        images = self._transfers.upload(frames)
        with self._computing:  # a graph's results are overwritten by the next thread's batch
            logits = self._logits(images) if self._captured is None else self._captured(self._logits, images)
            maps = reduce(logits)
        return _Begun(frames=frames, images=images, reduce=reduce, arriving=self._transfers.download(maps))

    @torch.inference_mode()
    def _ended(self, begun: _Begun) -> Probability:
        """Wait for the maps, the first of K the mean probability.

        Frames that half precision may draw or not by its rounding are computed in fp32.
        """
        maps = self._finite(begun.arriving())
        if self.precision != torch.float32:
            close = [index for index, each in enumerate(maps[:, 0]) if is_close(each, self.presence)]
            if close:
                images = self._transfers.upload(begun.frames[close])
                with whole_precision(self.device):
                    maps[close] = self._finite(begun.reduce(self._looked_at(images, self._torch)).cpu())
        return maps

    def _logits(self, images: Tensor) -> list[Tensor]:
        """Return each network's logits of pictures (N, 3, h, w), uint8, on the device."""
        autocast = self.runtime == "torch" and self.precision != torch.float32
        # a graph cannot keep the weights' casts of another call
        half = torch.autocast(self.device.type, self.precision, enabled=autocast, cache_enabled=self._captured is None)
        with half, nullcontext() if autocast else whole_precision(self.device):
            return self._looked_at(images, self._run_networks)

    def _looked_at(self, images: Tensor, run: Logits) -> list[Tensor]:
        normal = self._normalise(images).contiguous(memory_format=torch.channels_last)
        return over_flips(normal, run) if self._flips else run(normal)

    def _finite(self, maps: Tensor) -> Probability:
        values: Probability = maps.numpy()
        if not np.isfinite(values).all():  # it would read as "no lesion"
            raise DeviceError(
                f"the model {self.card.name} gives numbers that are not finite on {self.device} in {self.precision}",
                hint="use --precision fp32",
            )
        return values

    def _unless_full(self, tried: int, work: Callable[[], Result]) -> Result | None:
        """Do something with so many frames; None, with smaller batches from now on, where the memory does not suffice.

        Raises DeviceError where that was a single frame.
        """
        try:
            return work()
        except RuntimeError as error:
            if not isinstance(error, torch.OutOfMemoryError) and not _OUT_OF_MEMORY.search(str(error)):
                raise
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
                self._captured = Captured()  # the memory of a graph is for batches as they were
                torch.cuda.empty_cache()
            if tried <= 1:
                raise DeviceError(
                    f"the memory of {self.device} does not suffice for a single frame of"
                    f" {self.input_size[1]}x{self.input_size[0]}",
                    hint="close other programs on it, or use --device cpu",
                ) from error
        self.batch_size = min(self.batch_size, tried // 2)
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Begun:
    """A batch that the device works on."""

    frames: Pixels
    """(N, h, w, 3)."""
    images: Tensor
    """The same on the device, kept as long as it may read them."""
    reduce: Reduce
    """What becomes of the networks' logits."""
    arriving: Arriving
    """Waits for the maps (N, K, C, h, w)."""


def _check_precision(runtime: RuntimeName, precision: torch.dtype) -> None:
    if runtime == "onnx" and precision != torch.float32:
        raise UsageError("--runtime onnx computes in fp32 alone", hint="leave --precision out, or use fp32")
    if runtime == "openvino" and precision == torch.float16:
        raise UsageError("--runtime openvino computes in fp32 or bf16, found --precision fp16", hint="use bf16")


def paste_probability(probability: Probability, size: tuple[int, int], box: FieldOfView) -> Probability:
    """Resize a map (C, h, w) of a box bilinearly to the box, and return it in a frame (C, H, W) of `size`, else 0."""
    if probability.shape[1:] == tuple(size) == (box.height, box.width):
        return probability
    is_whole = (box.height, box.width) == tuple(size)
    frame: Probability = (np.empty if is_whole else np.zeros)((len(probability), *size), np.float32)
    for plane, whole in zip(probability.astype(np.float32, copy=False), frame, strict=True):
        part = box.crop(whole)
        assert part.shape == (box.height, box.width), "the box lies in the frame"  # else OpenCV would write elsewhere
        cv2.resize(plane, (box.width, box.height), dst=part, interpolation=cv2.INTER_LINEAR)
    return frame


def choose_networks(bundle: Bundle, network: NetworkChoice) -> tuple[UNet, ...]:
    """Return the networks that a choice names; raises UsageError for one that the model lacks."""
    if network == "both":
        return bundle.networks
    number = int(network)
    if number > len(bundle.networks):
        raise UsageError(f"--network {network}: the model {bundle.card.name} has {len(bundle.networks)} network")
    return (bundle.networks[number - 1],)
