"""Which model predicts and how, as plain values that can be sent to another process, and what came of it there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from endoseg_cli.inference.predict.predictor import NetworkChoice, Predictor, TestTimeAugmentation
from endoseg_cli.networks.files.bundle import load_bundle
from endoseg_cli.networks.files.runtimes import RuntimeChoice
from endoseg_cli.networks.running.device import Precision


@dataclass(frozen=True, kw_only=True)
class PredictorChoice:
    """A model file and how it is to predict; the fields are those of `Predictor`."""

    path: Path
    device: str = "auto"
    precision: Precision = "auto"
    network: NetworkChoice = "both"
    batch_size: int | None = None
    presence: float | None = None
    tta: TestTimeAugmentation = "off"
    runtime: RuntimeChoice = "torch"

    def load(self) -> Predictor:
        """Return the model, ready to predict; raises WeightsError, UsageError or DeviceError."""
        return Predictor(
            load_bundle(self.path),
            device=self.device,
            precision=self.precision,
            network=self.network,
            batch_size=self.batch_size,
            presence=self.presence,
            tta=self.tta,
            runtime=self.runtime,
        )


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a job needs to know of a loaded model."""

    name: str
    """What its card calls it."""
    class_names: tuple[str, ...]
    """Its classes."""
    has_corrective: bool
    """Whether it can refine videos."""
    device: str
    """Where it runs."""
    runtime: str
    """What runs it."""
    half_precision: str
    """bf16 or fp16 where the networks compute in it, else empty."""
    batch_size: int
    """Frames predicted together."""
    gpu: str = ""
    """What the GPU calls itself; empty without one that CUDA knows."""

    @classmethod
    def of(cls, predictor: Predictor) -> Self:
        """Return the facts of a predictor."""
        return cls(
            name=predictor.card.name,
            class_names=tuple(predictor.card.class_names),
            has_corrective=predictor.corrective is not None,
            device=str(predictor.device),
            runtime=predictor.runtime,
            half_precision=predictor.half_precision,
            batch_size=predictor.batch_size,
            gpu=torch.cuda.get_device_name(predictor.device) if predictor.device.type == "cuda" else "",
        )

    def sentence(self) -> str:
        """Say where and how it runs."""
        half = f" in {self.half_precision}" if self.half_precision else ""
        return f"device {self.device}, {self.runtime}{half}, {self.batch_size} frames together"
