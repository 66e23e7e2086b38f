"""The settings of the corrective network's training, with their ranges checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from endoseg_cli.errors import UsageError
from endoseg_cli.networks.architecture.corrective import MOST_SIDE


@dataclass(frozen=True, kw_only=True)
class CorrectiveSources:
    """Where the clips come from."""

    weights: Path | None = None
    """Model whose networks stay frozen and get a corrective network; the bundled one if None."""
    predictor: Path | None = None
    """Model whose networks predict the clips, if not the same: networks that never saw these frames fail on them as
    all networks do on new ones, while those that learned them say little wrong to learn from."""
    labeled: tuple[Path, ...] = ()
    """Folders of stills with masks, or COCO files; each still becomes clips by camera motion."""
    sequences: tuple[Path, ...] = ()
    """Folders of consecutive frames with masks, one folder per sequence; or of videos, each with NAME_masks beside."""
    unlabeled: tuple[Path, ...] = ()
    """Videos, or folders of videos, without masks."""
    phantom: int = 0
    """Number of clips to render."""
    val: Path | None = None
    """Stills with masks to validate on; a tenth of all clips is set aside if None."""
    val_phantom: int = 0
    """Clips to render and validate on alone: they come from another generator than clips of stills."""
    frames_per_second: float = 25.0
    """Frame rate of sequences of pictures; videos know theirs."""

    def __post_init__(self) -> None:
        if not (self.labeled or self.sequences or self.unlabeled or self.phantom):
            raise UsageError("expected --labeled, --sequences, --unlabeled or --phantom, found none of them")
        for name in ("phantom", "val_phantom"):
            if getattr(self, name) < 0:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 0, found {getattr(self, name)}")
        if self.val_phantom and (self.val or self.phantom):
            raise UsageError(
                "--val-phantom validates on rendered clips alone, found --val or --phantom besides",
                hint="leave one of them out",
            )
        if not self.frames_per_second > 0:
            raise UsageError(f"--frames-per-second: expected a positive number, found {self.frames_per_second}")


@dataclass(frozen=True, kw_only=True)
class CorrectiveTrainConfig:
    """Everything that decides what the corrective network's training computes, apart from the data."""

    window: int = 5
    """Frames that a correction looks at; odd."""
    size: tuple[int, int] | None = None
    """Height and width that the corrective network works at; the model's input size if not set."""
    clips: int = 160
    """Clips made of labelled stills, and at most so many of sequences and of unlabelled videos."""
    clip_frames: int = 9
    """Frames of a clip."""
    max_steps: int = 1000
    """Number of steps to train."""
    max_time: float | None = None
    """Seconds to train at most, over all sittings."""
    batch_size: int = 8
    """Windows in a batch, over all processes."""
    learning_rate: float = 2e-3
    """Learning rate at the start of the cosine schedule, after a short rise."""
    final_learning_rate: float = 2e-5
    """Learning rate at its end."""
    weight_decay: float = 1e-4
    """Weight decay of AdamW."""
    consistency_weight: float = 1.0
    """Weight of the squared difference between consecutive outputs."""
    validate_every: int = 100
    """Steps between validations, each of which writes a checkpoint."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        if self.window < 3 or self.window % 2 == 0:
            raise UsageError(f"--window must be odd and at least 3, found {self.window}")
        if self.clip_frames < self.window + 1:
            raise UsageError(f"clip_frames must be at least --window + 1, found {self.clip_frames}")
        for name in ("clips", "max_steps", "batch_size", "validate_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1, found {getattr(self, name)}")
        if self.size is not None and (len(self.size) != 2 or not all(32 <= side <= MOST_SIDE for side in self.size)):
            raise UsageError(f"--size must be 32 to {MOST_SIDE} pixels in height and width, found {self.size}")
        if self.max_time is not None and not self.max_time > 0:
            raise UsageError(f"--max-time must be positive, found {self.max_time:g}")
        if not 0 < self.final_learning_rate <= self.learning_rate:
            raise UsageError(
                f"--learning-rate {self.learning_rate:g} must be positive and not below the final learning rate"
                f" {self.final_learning_rate:g}"
            )
        if not (self.weight_decay >= 0 and self.consistency_weight >= 0):
            raise UsageError("weight_decay and consistency_weight must be at least 0")
