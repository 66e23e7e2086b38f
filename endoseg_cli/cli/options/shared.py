"""Options that several commands have, declared once: the model and the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from endoseg_cli.cli.options.completion import complete_device, complete_weights

if TYPE_CHECKING:
    from pathlib import Path

    from endoseg_cli.inference.predict.choice import PredictorChoice
    from endoseg_cli.inference.predict.predictor import Predictor
    from endoseg_cli.networks.files.runtimes import RuntimeChoice
    from endoseg_cli.networks.running.device import Precision

MODEL = "The model"


def weights_option(panel: str | None = None) -> Any:
    """Return the declaration of --weights."""
    return typer.Option(
        "--weights",
        autocompletion=complete_weights,
        help="Model file, run folder or name (default: the bundled polyp-lite).",
        rich_help_panel=panel,
    )


def device_option(panel: str | None = None) -> Any:
    """Return the declaration of --device."""
    return typer.Option(
        "--device", autocompletion=complete_device, help="auto, cpu, cuda, cuda:n or mps.", rich_help_panel=panel
    )


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model predicts, on what, and what of its probabilities counts as a lesion."""

    weights: Annotated[str | None, weights_option(MODEL)] = None
    network: Annotated[
        Literal["both", "1", "2"],
        typer.Option("--network", help="Mean of both networks, or one alone (faster).", rich_help_panel=MODEL),
    ] = "both"
    threshold: Annotated[
        float, typer.Option("--threshold", help="Lesion is where the probability is above.", rich_help_panel=MODEL)
    ] = 0.5
    presence: Annotated[
        float | None,
        typer.Option(
            "--presence",
            help="Draw regions whose peak probability reaches this; 0 draws all (default: as the model's card says).",
            rich_help_panel=MODEL,
        ),
    ] = None
    tta: Annotated[
        Literal["off", "flips"],
        typer.Option("--tta", help="Mean over each frame's mirror images; four times slower.", rich_help_panel=MODEL),
    ] = "off"
    device: Annotated[str, device_option(MODEL)] = "auto"

    def find(self) -> Path:
        """Return the model file that --weights means."""
        from endoseg_cli.networks.files.models import resolve_weights

        return resolve_weights(self.weights)

    def load(self, path: Path, *, precision: Precision, batch_size: int | None, runtime: RuntimeChoice) -> Predictor:
        """Return the model of a file, ready to predict."""
        return self.choice(path, precision=precision, batch_size=batch_size, runtime=runtime).load()

    def choice(
        self, path: Path, *, precision: Precision, batch_size: int | None, runtime: RuntimeChoice
    ) -> PredictorChoice:
        """Return how the model of a file is to predict."""
        from endoseg_cli.inference.predict.choice import PredictorChoice

        return PredictorChoice(
            path=path,
            device=self.device,
            precision=precision,
            network=self.network,
            batch_size=batch_size,
            presence=self.presence,
            tta=self.tta,
            runtime=runtime,
        )
