"""Two networks and their optimisers, and one step of any method in short parts that can be read and overridden."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from endoseg_cli.data.views.datasets import TrainingBatch, UnlabeledBatch
from endoseg_cli.networks.architecture.encoders import normalisation
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.running.normalise import Normaliser
from endoseg_cli.networks.running.side_by_side import threads_for
from endoseg_cli.training.engine.statistics import step_statistics
from endoseg_cli.training.engine.step_values import StepValues
from endoseg_cli.training.methods.method import Study, UnlabeledViews, Views
from endoseg_cli.training.methods.table import find_method
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.shared.distributed import ALONE, Ranks, mean_gradients, share_batch_norm
from endoseg_cli.training.shared.precision import at_least_float32, resolve_precision
from endoseg_cli.training.strategies.dropout import DropoutDraw, split_factors
from endoseg_cli.training.strategies.objective import ObjectiveWeights, Pair, StudentOutputs, Targets, Term
from endoseg_cli.training.strategies.teacher import TeacherMaps, TeacherViews, teach

NETWORKS = 2
"""Every method trains two networks of one architecture, which differ in their random start."""
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
        self.method = find_method(config.method)(config)
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
        self.scaled = Normaliser(*normalisation(config.encoder), device)
        # Collectives of two threads would meet in any order, so several processes take the networks one by one.
        self._threads = threads_for(NETWORKS) if device.type == "cpu" and ranks.size == 1 else None

    def compute_gradients(
        self, batch: TrainingBatch, step: int, weights: ObjectiveWeights, *, measure: bool = False
    ) -> Mapping[str, float]:
        """Leave the gradients of L(1) + L(2) in the networks; return every term and statistic of the step.

        With `measure`, `gradient_<term>` are the norms of what each weighted term adds to the gradient besides.
        """
        masks = batch.labeled.masks.to(self.device, non_blocking=True)
        unlabeled = batch.unlabeled if weights.unsupervised else None
        views = self.views(batch.labeled.images, unlabeled)
        targets = Targets(masks=masks)
        if unlabeled is not None:
            targets = self.targets(self.teach(views, step), masks)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        values: dict[str, Tensor] = {}
        # One view after the other: the activations of one are gone before those of the next are made.
        for study in self.method.studies(views, weights):
            values |= self.backward(self.study(study, step), targets, weights, measure=measure)
        for network in self.networks:
            mean_gradients(network.parameters(), self.ranks)
        return self._told({**values, **step_statistics(targets)})

    @property
    def teachers(self) -> list[UNet]:
        """The networks that give the targets."""
        return self.averages if self.method.teaching == "averages" else self.networks

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
                _follow(average, network, decay)

    def update(self, learning_rate: float) -> None:
        """Move both networks along their gradients."""
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = learning_rate
            self.scaler.step(optimiser)
        self.scaler.update()

    def views(self, labeled: Tensor, unlabeled: UnlabeledBatch | None) -> Views:
        """Return the pictures of a step (uint8, see `TrainingBatch`) on the device, normalised."""
        if unlabeled is None:
            return Views(labeled=self.normalise(labeled))
        views = UnlabeledViews(
            weak_1=self.normalise(unlabeled.weak_1),
            weak_2=self.normalise(unlabeled.weak_2),
            strong_1=self.normalise(unlabeled.strong_1),
            strong_2=self.normalise(unlabeled.strong_2),
            boxes=unlabeled.boxes.to(self.device, non_blocking=True),
            boxed=unlabeled.boxes.flatten(1).any(1).nonzero()[:, 0].to(self.device, non_blocking=True),
        )
        return Views(labeled=self.normalise(labeled), unlabeled=views)

    def teach(self, views: Views, step: int) -> tuple[TeacherMaps, TeacherMaps]:
        """Return what both teachers say."""
        unlabeled = views.unlabeled
        assert unlabeled is not None, "teachers look at frames without masks"
        frames, passes = len(unlabeled.weak_1), self.method.num_passes
        seen = TeacherViews(
            weak_1=unlabeled.weak_1,
            weak_2=unlabeled.weak_2,
            boxes=unlabeled.boxes,
            boxed=torch.arange(frames, device=self.device) if self.method.passes_over_both else unlabeled.boxed,
            labeled=views.labeled,
        )

        def work(number: int) -> TeacherMaps:
            draw = self._draw(number, step)
            first, second = (
                draw.factors(name, frames, passes) if passes else draw.none(frames) for name in ("weak-1", "weak-2")
            )
            with self._autocast():
                return self.ask(self.teachers[number], seen, first.to(self.device), second.to(self.device))

        first, second = self._both(work)
        return first, second

    def ask(self, network: UNet, views: TeacherViews, dropout_1: Tensor, dropout_2: Tensor) -> TeacherMaps:
        """Return what one teacher says (see `teach` in training/strategies/teacher.py)."""
        return teach(network, views, dropout_1, dropout_2)

    def targets(self, said: tuple[TeacherMaps, TeacherMaps], masks: Tensor) -> Targets:
        """Return what the networks learn from."""
        return self.method.targets(said, masks)

    def study(self, study: Study, step: int) -> Pair:
        """Return both networks' outputs in train mode (see `_study_one`)."""

        def work(number: int) -> StudentOutputs:
            with self._autocast():
                return self._study_one(number, step, study)

        first, second = self._both(work)
        return first, second

    def backward(
        self, students: Pair, targets: Targets, weights: ObjectiveWeights, *, measure: bool = False
    ) -> dict[str, Tensor]:
        """Add the gradients of the terms; each network's own graph is walked by its own thread.

        Return the terms before weighting and, with `measure`, the norm of each one's share of the gradient.
        """
        cut = (_cut(students[0]), _cut(students[1]))
        terms = self.method.terms(cut, targets, weights, self.ranks)
        counted = {name: term for name, term in terms.items() if term.weight and term.value.requires_grad}
        values = {name: term.value.detach() for name, term in terms.items()}
        if measure:
            values |= self._measure(students, cut, counted)
        loss = torch.stack([term.weight * term.value for term in counted.values()]).sum()
        torch.autograd.backward(self.scaler.scale(loss))

        def work(number: int) -> None:
            pairs = [(output, leaf.grad) for output, leaf in _outputs(students[number], cut[number])]
            reached = [(output, gradient) for output, gradient in pairs if gradient is not None]
            torch.autograd.backward([output for output, _ in reached], [gradient for _, gradient in reached])

        self._both(work)
        return values

    def _measure(self, students: Pair, cut: Pair, terms: dict[str, Term]) -> dict[str, Tensor]:
        """Return the norm of what each weighted term adds to a network's gradient, named `gradient_<term>`.

        For a term of both networks it is the root of the mean square over the two.
        """
        norms: dict[str, Tensor] = {}
        for name, term in terms.items():
            found = [self._gradient(number, students[number], cut[number], term) for number in range(NETWORKS)]
            squares = [gradient.square().sum() for gradient in found if gradient is not None]
            norms[f"gradient_{name}"] = (torch.stack(squares).sum() / len(squares)).sqrt()
        return norms

    def _gradient(self, number: int, student: StudentOutputs, leaves: StudentOutputs, term: Term) -> Tensor | None:
        """Return the gradient of a weighted term in one network's parameters, flat, None where it has no part in it."""
        pairs = _outputs(student, leaves)
        into = torch.autograd.grad(
            term.weight * term.value, [leaf for _, leaf in pairs], retain_graph=True, allow_unused=True
        )
        reached = [
            (output, gradient) for (output, _), gradient in zip(pairs, into, strict=True) if gradient is not None
        ]
        if not reached:
            return None
        gradients = torch.autograd.grad(
            [output for output, _ in reached],
            list(self.networks[number].parameters()),
            [gradient for _, gradient in reached],
            retain_graph=True,
            allow_unused=True,
        )
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients if gradient is not None])
        return self.ranks.mean(flat)

    def normalise(self, images: Tensor) -> Tensor:
        """Return uint8 images (B, 3, H, W) as floats, normalised as the encoder takes them, on the device."""
        return self.scaled(images.to(self.device, non_blocking=True).to(memory_format=torch.channels_last))

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

    def _study_one(self, number: int, step: int, study: Study) -> StudentOutputs:
        """Run one network over the pictures of a view, a batch of its own for BatchNorm.

        As the authors do: statistics of labelled frames then owe nothing to strong colours, and the running ones,
        which teachers and predictions use, average over the kinds in their order.
        """
        network, draw = self.networks[number].train(), self._draw(number, step)
        features = network.encode(study.pictures)
        seen = features
        if study.feature_dropout:
            seen = [self._disturbed(feature, draw, study, place) for place, feature in enumerate(features)]
        factors = draw.factors(study.view, len(study.pictures))[0].to(self.device)
        height, width = study.pictures.shape[-2:]
        # factors in float32 would turn every activation behind them to float32 under autocast
        masks = split_factors(factors.to(features[-1].dtype), network.config)
        logits = network.decode(seen, masks)[..., :height, :width]
        compared: dict[str, Tensor] = {}
        if study.with_features:
            last_relu = self.config.mutual_form.bottleneck == "paper"
            compared = {
                "low_level": features[0],
                "bottleneck": network.reduce_bottleneck(features, last_relu=last_relu),
            }
        return StudentOutputs(**{study.view: logits, **compared})

    @staticmethod
    def _disturbed(feature: Tensor, draw: DropoutDraw, study: Study, place: int) -> Tensor:
        """Return a feature map without some of its channels."""
        frames, channels = feature.shape[:2]
        factors = draw.channels(f"{study.view}-{place}", frames, channels, study.feature_dropout)
        return feature * factors.to(feature)

    def _draw(self, number: int, step: int) -> DropoutDraw:
        return DropoutDraw(
            config=self.config.network, seed=self.config.seed, step=step, network=number, share=self.ranks.share
        )

    def _build(self, number: int, start: Start | None) -> UNet:
        torch.manual_seed(self.config.seed * NETWORKS + number)
        network = UNet(self.config.network)
        if start is not None:
            start(network, number)
        share_batch_norm(network, self.ranks, self.device)
        network.transpose_upsampling(on=self.device.type == "cpu")
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _both(self, work: Callable[[int], Result]) -> list[Result]:
        if self._threads is None:
            return [work(number) for number in range(NETWORKS)]
        return list(self._threads.map(work, range(NETWORKS)))

    def _autocast(self) -> torch.autocast:
        half = torch.float16 if self._precision == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, half, enabled=self._precision != "fp32")

    def _told(self, values: dict[str, Tensor]) -> StepValues:
        """Return values, averaged over the processes, still on the device."""
        # joined by cat, which keeps double precision where some have it: not every device knows it
        joined = torch.cat([at_least_float32(value.detach()).reshape(1) for value in values.values()])
        return StepValues(list(values), self.ranks.mean(joined))


def _cut(student: StudentOutputs) -> StudentOutputs:
    """Return the outputs as leaves of a new graph, which collect the objective's gradient."""
    return StudentOutputs(
        **{name: None if output is None else output.detach().requires_grad_() for name, output in vars(student).items()}
    )


def _outputs(student: StudentOutputs, cut: StudentOutputs) -> list[tuple[Tensor, Tensor]]:
    """Return what a network gave, with its leaves in the objective's graph."""
    return [(output, getattr(cut, name)) for name, output in vars(student).items() if output is not None]


def _follow(average: UNet, network: UNet, decay: float) -> None:
    """Move an averaged network towards a network; statistics of BatchNorm that are held (momentum 0) stay."""
    for own, trained in zip(average.parameters(), network.parameters(), strict=True):
        own.lerp_(trained, 1 - decay)
    for module, other in zip(average.modules(), network.modules(), strict=True):
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm) and module.momentum != 0:
            for mean, value in zip(module.buffers(), other.buffers(), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, 1 - decay)
                else:
                    mean.copy_(value)
