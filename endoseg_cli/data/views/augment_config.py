"""The settings of the augmentations, with their ranges checked: weak and strong view, colour jitter, CutMix box."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from endoseg_cli.errors import UsageError

LabeledViews = Literal["paper", "wide"]
"""How much labelled frames are changed."""


@dataclass(frozen=True, kw_only=True)
class WeakViewConfig:
    """How the weak view moves pixels (Endo-SemiS, weak view: geometric only)."""

    rotate_90: bool = True
    """Turn the frame by 0, 90, 180 or 270 degrees, each equally likely."""
    horizontal_flip: float = 0.5
    """Probability of mirroring left and right."""
    vertical_flip: float = 0.5
    """Probability of mirroring top and bottom."""
    affine: float = 0.25
    """Probability of an affine map (scale, shift and rotation together)."""
    scale: tuple[float, float] = (0.7, 1.3)
    """Smallest and largest factor of the affine map, the same along both axes."""
    shift: float = 0.3
    """Largest shift of the affine map, as a fraction of the frame's width and of its height."""
    rotation: float = 360.0
    """Largest rotation of the affine map in degrees, to either side."""
    shear: float = 0.0
    """Largest shear of the affine map in degrees, to either side."""

    def __post_init__(self) -> None:
        for name in ("horizontal_flip", "vertical_flip", "affine"):
            _check_within(f"weak.{name}", getattr(self, name), 0.0, 1.0)
        _check_range("weak.scale", self.scale, 0.05, 20.0)
        _check_within("weak.shift", self.shift, 0.0, 1.0)
        _check_within("weak.rotation", self.rotation, 0.0, 360.0)
        _check_within("weak.shear", self.shear, 0.0, 45.0)


@dataclass(frozen=True, kw_only=True)
class StrongViewConfig:
    """How the strong view changes colours (Endo-SemiS, strong view: photometric only)."""

    probability: float = 0.2
    """Probability of each of the six operations, drawn independently."""
    at_least: int = 1
    """1: where nothing was drawn or changed, one operation is applied that changes the frame; 0, as in the paper,
    leaves a quarter of the strong views equal to the weak ones."""
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    """Smallest and largest standard deviation of the Gaussian blur, in pixels."""
    clahe_clip_limit: tuple[float, float] = (1.0, 4.0)
    """Smallest and largest clip limit of CLAHE, which works on the lightness of 8x8 tiles."""
    median_kernel: int = 15
    """Largest side of the median blur's window in pixels; odd, 3 and up."""
    gamma: tuple[float, float] = (0.8, 1.2)
    """Smallest and largest exponent; below 1 brightens, above 1 darkens."""
    brightness: float = 0.2
    """Largest change of brightness to either side, as a fraction of the full scale."""
    contrast: float = 0.2
    """Largest change of contrast to either side, as a fraction of the present one."""

    def __post_init__(self) -> None:
        _check_within("strong.probability", self.probability, 0.0, 1.0)
        if self.at_least not in (0, 1):
            raise UsageError(f"augment.strong.at_least must be 0 or 1, found {self.at_least}")
        _check_range("strong.blur_sigma", self.blur_sigma, 0.01, 50.0)
        _check_range("strong.clahe_clip_limit", self.clahe_clip_limit, 0.1, 100.0)
        _check_within("strong.median_kernel", self.median_kernel, 3, 99)
        if self.median_kernel % 2 == 0:
            raise UsageError(f"augment.strong.median_kernel must be odd, found {self.median_kernel}")
        _check_range("strong.gamma", self.gamma, 0.05, 20.0)
        _check_within("strong.brightness", self.brightness, 0.0, 1.0)
        _check_within("strong.contrast", self.contrast, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class ColourJitterConfig:
    """How labelled frames change colour; not part of Endo-SemiS, so switched off unless asked for."""

    probability: float = 0.0
    """Probability of jittering a labelled frame at all."""
    brightness: float = 0.2
    """Largest change of brightness to either side, as a fraction of the present one."""
    contrast: float = 0.2
    """Largest change of contrast to either side, as a fraction of the present one."""
    saturation: float = 0.2
    """Largest change of saturation to either side, as a fraction of the present one."""
    hue: float = 0.03
    """Largest turn of the hue to either side, as a fraction of the colour circle."""

    def __post_init__(self) -> None:
        for name in ("probability", "brightness", "contrast", "saturation"):
            _check_within(f"colour_jitter.{name}", getattr(self, name), 0.0, 1.0)
        _check_within("colour_jitter.hue", self.hue, 0.0, 0.5)


@dataclass(frozen=True, kw_only=True)
class CutMixConfig:
    """How large the box is that is pasted from the second weak view into the first (Endo-SemiS, CutMix)."""

    probability: float = 0.5
    """Probability that a frame gets a box."""
    area: tuple[float, float] = (0.02, 0.4)
    """Smallest and largest area of the box, as a fraction of the frame."""
    aspect: tuple[float, float] = (0.3, 1 / 0.3)
    """Smallest and largest ratio of the box's height to its width."""

    def __post_init__(self) -> None:
        _check_within("cutmix.probability", self.probability, 0.0, 1.0)
        _check_range("cutmix.area", self.area, 1e-4, 1.0)
        _check_range("cutmix.aspect", self.aspect, 0.01, 100.0)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """All settings of the augmentations, as one section of the training configuration."""

    labeled_views: LabeledViews = "paper"
    """Views of labelled frames: the weak view and colour jitter below, or those of `wide_view`, for other hospitals."""
    weak: WeakViewConfig = field(default_factory=WeakViewConfig)
    """The weak view of labelled and unlabelled frames."""
    strong: StrongViewConfig = field(default_factory=StrongViewConfig)
    """The strong view of unlabelled frames."""
    colour_jitter: ColourJitterConfig = field(default_factory=ColourJitterConfig)
    """Colour changes of labelled frames."""
    cutmix: CutMixConfig = field(default_factory=CutMixConfig)
    """The box pasted between the two weak views of an unlabelled frame."""

    def __post_init__(self) -> None:
        if self.labeled_views not in get_args(LabeledViews):
            raise UsageError(f"augment.labeled_views must be paper or wide, found {self.labeled_views}")


def _check_within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"augment.{name} must lie between {low:g} and {high:g}, found {value:g}")


def _check_range(name: str, value: tuple[float, float], low: float, high: float) -> None:
    if len(value) != 2 or not all(math.isfinite(end) for end in value) or not low <= value[0] <= value[1] <= high:
        expected = f"a smallest and a largest value between {low:g} and {high:g}"
        raise UsageError(f"augment.{name} must be {expected}, found {list(value)}")
