"""The settings of a training run, with their ranges checked; the resolved ones are written into the run folder."""

from __future__ import annotations

from dataclasses import dataclass, field

from endoseg_cli.data.augment_config import AugmentConfig
from endoseg_cli.errors import UsageError
from endoseg_cli.networks.encoders import EncoderName
from endoseg_cli.networks.unet import UNetConfig


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides what a training run computes, apart from the data."""

    encoder: EncoderName = "resnet34"
    """Encoder of both U-Nets."""
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16)
    """Width of the five decoder blocks, coarsest first."""
    dropout: float = 0.1
    """Probability of Dropout2d in the decoder."""
    encoder_weights: str = "none"
    """What the encoders start from: none, or a file with a state dict."""
    start_from: str | None = None
    """Model file whose weights both networks start from; its architecture must be this one."""
    size: tuple[int, int] = (256, 256)
    """Height and width that frames are resized to."""
    batch_size: int = 24
    """Labelled frames in a batch."""
    epochs: int = 100
    """Passes over the training frames."""
    max_steps: int | None = None
    """Number of steps to train, in place of epochs."""
    validate_every: int | None = None
    """Steps between validations; once per epoch if not set."""
    learning_rate: float = 1e-4
    """Learning rate at the start of the cosine schedule."""
    final_learning_rate: float = 1e-5
    """Learning rate at its end."""
    weight_decay: float = 1e-4
    """Weight decay of AdamW."""
    dice_weight: float = 0.0
    """Weight of a soft Dice loss beside the paper's cross-entropy on labelled frames; 0 is the paper's."""
    seed: int = 0
    """Seed of every random draw."""
    workers: int = 0
    """Processes that read and augment frames; 0 does it in the training process."""
    keep_frames: bool = True
    """Keep decoded frames in memory."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """How frames are augmented."""

    def __post_init__(self) -> None:
        self.network  # noqa: B018 - building it checks encoder, widths and dropout
        for name in ("batch_size", "epochs", "max_steps", "validate_every"):
            _check_at_least(name, getattr(self, name), 1)
        _check_at_least("workers", self.workers, 0)
        if len(self.size) != 2 or min(self.size) < 32:
            raise UsageError(f"--size must be at least 32 pixels in height and width, found {self.size}")
        if not 0 < self.final_learning_rate <= self.learning_rate:
            raise UsageError(
                f"--learning-rate {self.learning_rate:g} must be positive and not below the final learning rate"
                f" {self.final_learning_rate:g}"
            )
        if self.weight_decay < 0 or self.dice_weight < 0:
            raise UsageError("--weight-decay and --dice-weight must not be negative")

    @property
    def network(self) -> UNetConfig:
        """The architecture of both networks."""
        return UNetConfig(encoder=self.encoder, decoder_channels=self.decoder_channels, dropout=self.dropout)


def _check_at_least(name: str, value: int | None, low: int) -> None:
    if value is not None and value < low:
        raise UsageError(f"--{name.replace('_', '-')} must be at least {low}, found {value}")
