"""What to render: the settings that stills and clips share."""

from __future__ import annotations

from dataclasses import dataclass

from endoseg_cli.errors import UsageError

SCENES = ("colon", "ureter")
"""Kinds of scene: polyps in the colon, stones in ureter and kidney."""


@dataclass(frozen=True, kw_only=True)
class PhantomConfig:
    """Settings of a phantom; raises UsageError when one is out of range."""

    scene: str = "colon"
    """colon (polyps) or ureter (stones, laser fibre, debris)."""
    size: tuple[int, int] = (256, 256)
    """Height and width of the frames in pixels."""
    seed: int = 0
    """Same seed, same pictures."""
    lesion_fraction: tuple[float, float] = (0.02, 0.25)
    """Least and largest share of the frame that lesions cover: in a still, or in a clip when the camera is nearest."""
    empty_fraction: float = 0.2
    """Share of stills, or of a clip's time, without a lesion."""

    def __post_init__(self) -> None:
        low, high = self.lesion_fraction
        if self.scene not in SCENES:
            raise UsageError(f"--scene must be one of {', '.join(SCENES)}, found {self.scene!r}")
        if not all(16 <= side <= 4096 for side in self.size):
            raise UsageError(f"--size must be 16 to 4096 pixels a side, found {self.size[1]}x{self.size[0]}")
        if self.seed < 0:
            raise UsageError(f"--seed must be 0 or more, found {self.seed}")
        if not 0 < low < high <= 0.6:
            raise UsageError(
                f"--lesion-fraction must be two shares of the frame with 0 < MIN < MAX <= 0.6, found {low:g} {high:g}",
                hint="for lesions of 2 to 4 % of the frame: --lesion-fraction 0.02 0.04",
            )
        if not 0 <= self.empty_fraction <= 1:
            raise UsageError(f"--empty-fraction must be between 0 and 1, found {self.empty_fraction:g}")


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """Settings of clips alone; raises UsageError when one is out of range."""

    seconds: float = 6.0
    """Length of each clip."""
    frames_per_second: float = 25.0
    """Frames per second."""

    def __post_init__(self) -> None:
        if not 1 <= self.frames_per_second <= 120:
            raise UsageError(f"--fps must be between 1 and 120, found {self.frames_per_second:g}")
        if not 0.2 <= self.seconds <= 3600:
            raise UsageError(f"--seconds must be between 0.2 and 3600, found {self.seconds:g}")

    @property
    def frames(self) -> int:
        """Number of frames of each clip."""
        return max(1, round(self.seconds * self.frames_per_second))
