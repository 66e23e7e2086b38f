"""`endoseg benchmark inference`: stages alone, whole runs beside the plain loop, and the networks in every runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from endoseg_cli.benchmark.footage import Footage
from endoseg_cli.benchmark.machine import describe_machine, report
from endoseg_cli.benchmark.measure import MeasureConfig, Tell, measure, timed
from endoseg_cli.benchmark.stages import HELD_FRAMES, STAGES, hold, limiting, measure_stages, predict
from endoseg_cli.benchmark.whole_runs import WholeRuns, describe
from endoseg_cli.inference.inputs.views import view_of_video
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.networks.files.runtimes import RuntimeChoice, RuntimeName, is_installed
from endoseg_cli.networks.running.device import Precision, computes_bf16
from endoseg_cli.pictures.field_of_view import FieldOfView
from endoseg_cli.video.reading.reader import VideoReader

STAGE_SHARE = 0.3
"""A stage alone is measured for this share of the time of a whole run: it needs no start and no end."""

LEAST_BATCHES = 4
"""Batches of a whole run at least: in a shorter one the stages would hardly overlap."""

Load = Callable[[RuntimeName, Precision], Predictor]
"""Makes the model ready in a runtime and a precision."""


@dataclass(frozen=True, kw_only=True)
class _View:
    """What the networks see of a video."""

    config: SegmentConfig
    """How it is segmented, with this view."""
    box: FieldOfView | None
    """The endoscope's picture; None for the whole frame."""
    seconds: float
    """How long it took to find."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for --json."""
        return {"field_of_view": None if self.box is None else asdict(self.box), "finding_view_seconds": self.seconds}


@dataclass(frozen=True, kw_only=True)
class InferenceBenchmark:
    """What is measured."""

    model: Path
    """File of the model."""
    predictor: Predictor
    """The same, as `segment` would run it with the options given."""
    load: Load
    """For the other runtimes."""
    runtime: RuntimeChoice = "auto"
    """What was asked for: a runtime, or all that are installed."""
    precision: Precision = "auto"
    """What was asked for: a precision, or all that the device computes in."""
    config: SegmentConfig = field(default_factory=SegmentConfig)
    """How frames are segmented."""
    measure: MeasureConfig = field(default_factory=MeasureConfig)
    """How long and how often."""

    def run(self, footage: Sequence[Footage], folder: Path, tell: Tell) -> dict[str, Any]:
        """Measure on every video; outputs go to `folder`. Return what --json prints."""
        machine = describe_machine(self.predictor.device)
        seen = [self._view(each) for each in footage]
        # Whole runs come first: what stages hold in memory would count as theirs.
        whole = [self._whole(each, view.config, folder, tell) for each, view in zip(footage, seen, strict=True)]
        stages = [self._stages(each, view.config, folder, tell) for each, view in zip(footage, seen, strict=True)]
        videos = [{**view.to_dict(), **one, **other} for view, one, other in zip(seen, whole, stages, strict=True)]
        networks = self._runtimes(footage[0], seen[0].config, tell)
        return report("inference", machine, self._settings(), videos=videos, networks=networks)

    def _view(self, footage: Footage) -> _View:
        """Find what of a video the networks see: a search at the start that would outweigh all else in a short run."""
        footage.ready(HELD_FRAMES)
        with VideoReader(footage.path) as reader:
            view, seconds = timed(lambda: view_of_video(self.config.view(self.predictor), reader))
        return _View(config=replace(self.config, field_of_view=view or "off"), box=view, seconds=seconds)

    def _whole(self, footage: Footage, config: SegmentConfig, folder: Path, tell: Tell) -> dict[str, Any]:
        runs = WholeRuns(model=self.model, predictor=self.predictor, config=config, folder=folder)
        first = max(LEAST_BATCHES * self.predictor.batch_size, HELD_FRAMES)
        compared = runs.compare(footage, self.measure, first, lambda text: tell(f"{footage.name}: {text}"))
        segmented, loop = describe(compared)
        height, width = footage.info.upright_size
        outcomes = [ran.outcome for ran in compared["refine off"].results if ran.outcome is not None]
        return {
            "name": footage.name,
            "width": width,
            "height": height,
            "codec": footage.info.codec,
            "segment": segmented,
            "plain_loop": loop,
            "damage": list(outcomes[-1].damage),
        }

    def _stages(self, footage: Footage, config: SegmentConfig, folder: Path, tell: Tell) -> dict[str, Any]:
        found = measure_stages(
            footage,
            self.predictor,
            config,
            replace(self.measure, seconds=STAGE_SHARE * self.measure.seconds),
            folder,
            lambda text: tell(f"{footage.name}: {text}"),
        )
        return {
            "stages": {name: found[name].to_dict() for name in STAGES},
            "limiting_stage": limiting(found),
        }

    def _runtimes(self, footage: Footage, config: SegmentConfig, tell: Tell) -> list[dict[str, Any]]:
        """Measure the networks alone in everything that runs them here."""
        pictures = hold(footage.path, self.predictor, config).small
        rows = []
        for runtime, precision in self._candidates():
            own = (runtime, precision) == _way(self.predictor)
            tell(f"networks: {runtime} {precision}")
            predictor = self.predictor if own else self.load(runtime, precision)
            timing = measure(
                partial(predict, predictor, pictures),
                replace(self.measure, seconds=STAGE_SHARE * self.measure.seconds),
                first=predictor.batch_size,
            )
            rows.append({"runtime": runtime, "precision": precision, "used_by_segment": own, **timing.to_dict()})
        return rows

    def _candidates(self) -> list[tuple[RuntimeName, Precision]]:
        """Return the runtimes and precisions to measure, the one in use first."""
        own = _way(self.predictor)
        runtimes: list[RuntimeName] = ["torch"]
        if self.runtime != "auto":
            runtimes = [self.runtime]
        elif self.predictor.device.type == "cpu":
            others: tuple[RuntimeName, ...] = ("openvino", "onnx")
            runtimes += [name for name in others if is_installed(name)]
        ways = [
            (runtime, precision)
            for runtime in runtimes
            for precision in precisions(runtime, self.predictor.device)
            if self.precision in ("auto", precision)
        ]
        return [own, *(way for way in ways if way != own)]

    def _settings(self) -> dict[str, Any]:
        predictor, card = self.predictor, self.predictor.card
        runtime, precision = _way(predictor)
        return {
            "model": card.name,
            "encoder": " + ".join(dict.fromkeys(each.encoder for each in card.architectures)),
            "networks": predictor.network,
            "input_size": list(card.input_size),
            "runtime": runtime,
            "precision": precision,
            "batch_size": predictor.batch_size,
            "threshold": self.config.mask.threshold,
            "seconds": self.measure.seconds,
            "repeats": self.measure.repeats,
        }


def precisions(runtime: RuntimeName, device: torch.device) -> tuple[Precision, ...]:
    """Return what a runtime computes in on a device, without emulation."""
    if runtime == "onnx" or device.type == "mps":
        return ("fp32",)
    if device.type == "cuda":
        return ("fp32", "fp16", "bf16") if torch.cuda.is_bf16_supported() else ("fp32", "fp16")
    return ("fp32", "bf16") if computes_bf16() else ("fp32",)


def _way(predictor: Predictor) -> tuple[RuntimeName, Precision]:
    precision: Precision = "bf16" if predictor.half_precision == "bf16" else "fp32"
    return predictor.runtime, "fp16" if predictor.half_precision == "fp16" else precision
