"""Two networks and their optimisers, and one step of Endo-SemiS in short parts that can be read and overridden."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from endoseg_cli.data.views.cutmix import paste_box
from endoseg_cli.data.views.datasets import TrainingBatch, UnlabeledBatch
from endoseg_cli.networks.architecture.encoders import normalisation
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.training.engine.statistics import step_statistics
from endoseg_cli.training.methods.dropout import DropoutDraw, split_factors
from endoseg_cli.training.methods.objective import ObjectiveWeights, StudentOutputs, Targets, objective
from endoseg_cli.training.methods.pseudo_labels import PseudoLabel, joint_pseudo_label, pseudo_label_from_passes
from endoseg_cli.training.methods.teacher import TeacherMaps, TeacherViews, teach
from endoseg_cli.training.methods.uncertainty import ThresholdRule
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.shared.distributed import ALONE, Ranks, mean_gradients, share_batch_norm
from endoseg_cli.training.shared.precision import resolve_precision

NETWORKS = 2
"""Endo-SemiS trains two networks of one architecture, which differ in their random start."""
Result = TypeVar("Result")
Start = Callable[[UNet, int], None]
"""Gives network number n, counted from 0, the weights it starts from."""


class Learner:
    """The two networks of a run. What a step computes follows from the networks, the batch, and the step's number.

    On a CPU the networks are worked on in two threads; nothing is shared between them but their outputs, and every
    random draw has its own key, so the result does not depend on which thread is first.
    """

    def __init__(
        self, config: TrainConfig, *, device: torch.device, ranks: Ranks = ALONE, start: Start | None = None
    ) -> None:
        self.config, self.device, self.ranks = config, device, ranks
        self.networks = [self._build(number, start) for number in range(NETWORKS)]
        self.optimisers = [
            torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
            for network in self.networks
        ]
        # Averages start as the networks do, and follow them ever more slowly (as timm's ModelEmaV3 warms up).
        self.averages = [copy.deepcopy(network).requires_grad_(False) for network in self.networks if config.ema]
        self._precision = resolve_precision(config.precision, device)
        # Gradients in fp16 would vanish; they are computed larger, and a step whose gradients overflow is left out.
        self.scaler = torch.amp.GradScaler(device.type, enabled=self._precision == "fp16")
        mean, std = normalisation(config.encoder)
        self._mean = torch.tensor(mean, device=device).view(3, 1, 1) * 255
        self._std = torch.tensor(std, device=device).view(3, 1, 1) * 255
        # Collectives of two threads would meet in any order, so several processes take the networks one by one.
        self._threads = _network_threads() if device.type == "cpu" and ranks.size == 1 else None

    def compute_gradients(self, batch: TrainingBatch, step: int, weights: ObjectiveWeights) -> dict[str, float]:
        """Leave the gradients of L(1) + L(2) in the networks; return every term and statistic of the step."""
        images = self.normalise(batch.labeled.images)
        masks = batch.labeled.masks.to(self.device, non_blocking=True)
        unlabeled = batch.unlabeled if weights.unsupervised else None
        targets = Targets(masks=masks)
        if unlabeled is not None:
            targets = self.targets(self.teach(images, unlabeled, step), masks)
        students = self.study(images, unlabeled, step, mutual=weights.mutual > 0)
        terms = self.backward(students, targets, weights)
        return self._to_numbers({**terms, **step_statistics(targets)})

    @property
    def judged(self) -> list[UNet]:
        """The networks that are validated and kept: the averaged ones where there are any."""
        return self.averages or self.networks

    def average(self, step: int) -> None:
        """Let the averages follow the networks after step number `step`, counted from 0."""
        if self.config.ema is None:
            return
        decay = min(self.config.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for average, network in zip(self.averages, self.networks, strict=True):
                for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
                    if mean.is_floating_point():
                        mean.lerp_(value, 1 - decay)
                    else:
                        mean.copy_(value)

    def update(self, learning_rate: float) -> None:
        """Move both networks along their gradients."""
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = learning_rate
            self.scaler.step(optimiser)
        self.scaler.update()

    def teach(self, images: Tensor, batch: UnlabeledBatch, step: int) -> tuple[TeacherMaps, TeacherMaps]:
        """Return what both networks say as teachers."""
        boxed = batch.boxes.flatten(1).any(1).nonzero()[:, 0]
        views = TeacherViews(
            weak_1=self.normalise(batch.weak_1),
            weak_2=self.normalise(batch.weak_2),
            boxes=batch.boxes.to(self.device),
            boxed=boxed.to(self.device),
            labeled=images,
        )

        def work(number: int) -> TeacherMaps:
            draw, frames = self._draw(number, step), len(views.weak_1)
            first, second = (draw.factors(name, frames, self.config.num_passes) for name in ("weak-1", "weak-2"))
            with self._autocast():
                return teach(self.networks[number], views, first.to(self.device), second.to(self.device))

        first, second = self._both(work)
        return first, second

    def targets(self, teachers: tuple[TeacherMaps, TeacherMaps], masks: Tensor) -> Targets:
        """Return what the students learn from: masks, pseudo-labels, joint pseudo-label, labelled pseudo-labels."""
        config = self.config
        rule = ThresholdRule(scope=config.threshold_scope, min_confidence=config.min_confidence)
        first, second = (self._trusted(pseudo_label_from_passes(said.passes, rule)) for said in teachers)
        joint = self._trusted(joint_pseudo_label(first, second, rule)) if config.joint_pseudo_label else None
        labeled = (teachers[0].labeled > 0.5, teachers[1].labeled > 0.5)
        return Targets(
            masks=masks,
            labeled=labeled if config.labeled_cross else None,
            pseudo=(first, second),
            joint=joint,
        )

    def study(
        self, images: Tensor, batch: UnlabeledBatch | None, step: int, *, mutual: bool
    ) -> tuple[StudentOutputs, StudentOutputs]:
        """Return both networks' outputs in train mode (see `_study_one`)."""
        weak = strong = None
        if batch is not None:
            boxes = batch.boxes
            if self.config.cross_supervision:
                weak = self.normalise(paste_box(batch.weak_1, batch.weak_2, boxes))
            if self.config.joint_pseudo_label:
                strong = self.normalise(paste_box(batch.strong_1, batch.strong_2, boxes))

        def work(number: int) -> StudentOutputs:
            with self._autocast():
                return self._study_one(number, step, images, weak, strong, mutual=mutual)

        first, second = self._both(work)
        return first, second

    def backward(
        self, students: tuple[StudentOutputs, StudentOutputs], targets: Targets, weights: ObjectiveWeights
    ) -> dict[str, Tensor]:
        """Compute the objective and its gradients; each network's own graph is walked by its own thread."""
        cut = (_cut(students[0]), _cut(students[1]))
        loss, terms = objective(cut, targets, weights, self.ranks)
        torch.autograd.backward(self.scaler.scale(loss))

        def work(number: int) -> None:
            self.optimisers[number].zero_grad(set_to_none=True)
            outputs = [
                (getattr(students[number], name), leaf.grad)
                for name, leaf in vars(cut[number]).items()
                if leaf is not None and leaf.grad is not None
            ]
            torch.autograd.backward([output for output, _ in outputs], [gradient for _, gradient in outputs])
            mean_gradients(self.networks[number].parameters(), self.ranks)

        self._both(work)
        return terms

    def normalise(self, images: Tensor) -> Tensor:
        """Return uint8 images (B, 3, H, W) as floats, normalised as the encoder takes them, on the device."""
        images = images.to(self.device, non_blocking=True).to(memory_format=torch.channels_last)
        return (images.float() - self._mean) / self._std

    def state(self) -> list[dict[str, Any]]:
        """Return everything that training changes, per network."""
        state = [
            {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
            for network, optimiser in zip(self.networks, self.optimisers, strict=True)
        ]
        for saved, average in zip(state, self.averages, strict=False):
            saved["average"] = average.state_dict()
        return state

    def load_state(self, state: list[dict[str, Any]]) -> None:
        """Go back to what `state` returned."""
        for network, optimiser, saved in zip(self.networks, self.optimisers, state, strict=True):
            network.load_state_dict(saved["network"])
            optimiser.load_state_dict(saved["optimiser"])
        for average, saved in zip(self.averages, state, strict=False):
            average.load_state_dict(saved["average"])

    def _study_one(
        self, number: int, step: int, images: Tensor, weak: Tensor | None, strong: Tensor | None, *, mutual: bool
    ) -> StudentOutputs:
        """Run one network over labelled frames, weak and strong views, each a batch of its own for BatchNorm.

        As the authors do: statistics of labelled frames then owe nothing to strong colours, and the running ones,
        which teachers and predictions use, average over the three kinds in that order.
        """
        network, draw = self.networks[number].train(), self._draw(number, step)

        def logits(pictures: Tensor, stream: str) -> tuple[Tensor, list[Tensor]]:
            features = network.encode(pictures)
            factors = draw.factors(stream, len(pictures))[0].to(self.device)
            height, width = pictures.shape[-2:]
            return network.decode(features, split_factors(factors, network.config))[..., :height, :width], features

        labeled, features = logits(images, "labeled")
        return StudentOutputs(
            labeled=labeled,
            weak=None if weak is None else logits(weak, "weak")[0],
            strong=None if strong is None else logits(strong, "strong")[0],
            low_level=features[0] if mutual else None,
            bottleneck=network.reduce_bottleneck(features) if mutual else None,
        )

    def _trusted(self, label: PseudoLabel) -> PseudoLabel:
        return label if self.config.uncertainty_guidance else replace(label, certain=torch.ones_like(label.certain))

    def _draw(self, number: int, step: int) -> DropoutDraw:
        return DropoutDraw(
            config=self.config.network, seed=self.config.seed, step=step, network=number, share=self.ranks.share
        )

    def _build(self, number: int, start: Start | None) -> UNet:
        torch.manual_seed(self.config.seed * NETWORKS + number)
        network = UNet(self.config.network)
        if start is not None:
            start(network, number)
        share_batch_norm(network, self.ranks)
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _both(self, work: Callable[[int], Result]) -> list[Result]:
        if self._threads is None:
            return [work(number) for number in range(NETWORKS)]
        return list(self._threads.map(work, range(NETWORKS)))

    def _autocast(self) -> torch.autocast:
        half = torch.float16 if self._precision == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, half, enabled=self._precision != "fp32")

    def _to_numbers(self, values: dict[str, Tensor]) -> dict[str, float]:
        """Return values as floats, averaged over the processes, with one transfer from the device."""
        stacked = self.ranks.mean(torch.stack([value.detach().double() for value in values.values()]))
        return dict(zip(values, stacked.tolist(), strict=True))


def _network_threads() -> ThreadPoolExecutor:
    """Return one thread per network, which share out torch's threads between them, all started already."""
    each = max(torch.get_num_threads() // NETWORKS, 1)
    ready = threading.Barrier(NETWORKS)

    def settle(_: int) -> None:
        torch.set_num_threads(each)
        ready.wait()

    threads = ThreadPoolExecutor(NETWORKS)
    list(threads.map(settle, range(NETWORKS)))
    return threads


def _cut(student: StudentOutputs) -> StudentOutputs:
    """Return the outputs as leaves of a new graph, which collect the objective's gradient."""

    def leaf(output: Tensor | None) -> Tensor | None:
        return None if output is None else output.detach().requires_grad_()

    return StudentOutputs(
        labeled=student.labeled.detach().requires_grad_(),
        weak=leaf(student.weak),
        strong=leaf(student.strong),
        low_level=leaf(student.low_level),
        bottleneck=leaf(student.bottleneck),
    )
