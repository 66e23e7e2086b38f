"""The corrective network f_st: repairs a frame's prediction with what was seen and said in the frames around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from endoseg_cli.errors import UsageError
from endoseg_cli.networks.architecture.attention import FrameTokens, NeighbourAttention
from endoseg_cli.networks.architecture.encoders import InvertedResidual

LOGIT_LIMIT = 9.5
"""Logits of the networks' probability are kept within this; what the limit takes from a probability is below 1e-4."""
LOGIT_SCALE = 6.0
"""Logits are divided by this where they are features."""
STRIDE = 64
"""Pictures are padded to a multiple of this: 8 blocks of 8 positions at stride 8."""
MAX_WIDTH = 1024
MOST_SIDE = 4096
"""Pixels of a side of networks' input at most; more is a slip, or would take all memory."""


@dataclass(frozen=True, kw_only=True)
class CorrectiveConfig:
    """What a corrective network looks like."""

    window: int = 5
    """Frames that a correction looks at, the corrected one in the middle; odd."""
    classes: int = 1
    """Number of classes of the networks whose predictions are corrected."""
    widths: tuple[int, ...] = (16, 24, 48, 64)
    """Channels at strides 2, 4, 8 and 16."""
    heads: tuple[int, ...] = (1, 2)
    """Heads of the attentions over the neighbouring frames, at strides 8 and 16."""
    size: tuple[int, int] | None = None
    """Height and width at which it looks at frames, whatever the networks' input; that of what it is given if None."""

    def __post_init__(self) -> None:
        if type(self.window) is not int or self.window < 3 or self.window % 2 == 0:
            raise UsageError(f"--window must be odd and at least 3, found {self.window}")
        if type(self.classes) is not int or not 1 <= self.classes <= MAX_WIDTH:
            raise UsageError(f"--classes must be 1 to {MAX_WIDTH}, found {self.classes}")
        if len(self.widths) != 4 or not all(type(width) is int and 1 <= width <= MAX_WIDTH for width in self.widths):
            raise UsageError(f"a corrective network needs four widths from 1 to {MAX_WIDTH}, found {self.widths}")
        if len(self.heads) != 2 or not all(type(heads) is int and 1 <= heads <= MAX_WIDTH for heads in self.heads):
            raise UsageError(f"a corrective network needs two numbers of heads from 1 on, found {self.heads}")
        if self.size is not None and (
            len(self.size) != 2 or not all(type(side) is int and 32 <= side <= MOST_SIDE for side in self.size)
        ):
            raise UsageError(f"a corrective network works at 32 to {MOST_SIDE} pixels a side, found {self.size}")


class FrameFeatures(NamedTuple):
    """All that is computed once per frame and kept while it is in the window; every tensor begins with the batch."""

    logit: Tensor
    """Logit of the networks' mean probability within +-LOGIT_LIMIT, (B, C, H, W), float32."""
    half: Tensor
    """Features at stride 2 of the padded frame."""
    quarter: Tensor
    """Features at stride 4."""
    eighth: Tensor
    """Features at stride 8."""
    sixteenth: Tensor
    """Features at stride 16."""
    evidence: Tensor
    """Mean probability in each quarter of a position at stride 8, (B, 4C, H / 8, W / 8)."""
    fine: FrameTokens
    """Queries, keys and values at stride 8, in blocks."""
    coarse: FrameTokens
    """Queries, keys and values at stride 16, over the whole frame."""


class CorrectiveNetwork(nn.Module):
    """Corrects one frame of a window from the frames around it (Endo-SemiS, corrective network f_st).

    The paper leaves the architecture open. Here every frame is encoded once from picture, probability and uncertainty;
    the corrected frame then looks for itself in its neighbours by attention, over whole frames at stride 16 and within
    16x16 neighbourhoods at stride 8, so that camera motion is followed and not averaged over. The probability that the
    attention at stride 8 finds there is the neighbours' witness Q; what else it brings along (features at both strides)
    is decoded with the frame's own features to a gate g from 0 to 1 at stride 2. The output is
    logit(P) + g (logit(Q) - logit(P)): a lesion that the networks saw in no frame of the window is never drawn. An
    untrained network has g = 0: the identity. With a size of its own it sees frames and maps resized to that, and g
    and Q are resized back; P stays as it is.
    """

    def __init__(self, config: CorrectiveConfig) -> None:
        super().__init__()
        self.config = config
        half, quarter, eighth, sixteenth = config.widths
        self.stem = _conv_bn_relu(3 + 2 * config.classes, half, 3, 2)
        self.stage4 = nn.Sequential(_conv_bn_relu(half, quarter, 3, 2), InvertedResidual(quarter, quarter, 1, 1))
        self.stage8 = _stage(quarter, eighth)
        self.stage16 = _stage(eighth, sixteenth)
        evidence = 4 * config.classes
        self.fine = NeighbourAttention(eighth, config.heads[0], evidence, blocks=True)
        self.coarse = NeighbourAttention(sixteenth, config.heads[1], evidence, blocks=False)
        self.join16 = _join(sixteenth + self.coarse.out_channels, sixteenth, 2)
        self.join8 = _join(sixteenth + eighth + self.fine.out_channels, eighth, 2)
        self.join4 = _join(eighth + quarter + config.classes, quarter, 1)
        self.join2 = _conv_bn_relu(quarter + half, half, 1)
        self.head = nn.Conv2d(half, config.classes, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(
        self,
        images: Tensor,
        probability: Tensor,
        uncertainty: Tensor,
        centre: int | None = None,
        offsets: Sequence[float | Tensor] | None = None,
    ) -> Tensor:
        """Return corrected logits (B, C, H, W) of one frame of a whole window, for training.

        Takes pictures (B, T, 3, H, W), ImageNet-normalised, and what the networks said of them, (B, T, C, H, W). The
        corrected frame is the middle one and frames are 1/25 s apart unless `centre` and `offsets` say otherwise.
        """
        window = self.encode_window(images, probability, uncertainty)
        centre = len(window) // 2 if centre is None else centre
        offsets = [float(place - centre) for place in range(len(window))] if offsets is None else offsets
        return self.fuse(window, centre, offsets)

    def encode_window(self, images: Tensor, probability: Tensor, uncertainty: Tensor) -> list[FrameFeatures]:
        """Encode the frames (B, T, ...) of a window as one batch and return them one by one."""
        batch, frames = images.shape[:2]
        encoded = self.encode(images.flatten(0, 1), probability.flatten(0, 1), uncertainty.flatten(0, 1))

        def of_frame(place: int) -> Callable[[Tensor], Tensor]:
            return lambda tensor: tensor.reshape(batch, frames, *tensor.shape[1:])[:, place]

        return [map_features(of_frame(place), encoded) for place in range(frames)]

    def encode(self, images: Tensor, probability: Tensor, uncertainty: Tensor) -> FrameFeatures:
        """Return all of a frame that does not depend on its neighbours.

        Takes pictures (B, 3, H, W), ImageNet-normalised, of any size, with the networks' mean probability and their
        uncertainty in nats, both (B, C, H, W) (see `networks.ensemble.combine`).
        """
        logit = _logit(probability)
        size = self.config.size
        images, probability, uncertainty = (_resized(each, size) for each in (images, probability, uncertainty))
        own = logit if probability.shape == logit.shape else _logit(probability)
        said = [images, (own / LOGIT_SCALE).to(images.dtype), uncertainty.to(images.dtype)]
        half = self.stem(_pad(torch.cat(said, dim=1)))
        quarter = self.stage4(half)
        eighth = self.stage8(quarter)
        sixteenth = self.stage16(eighth)
        padded = _pad(probability.to(half.dtype))
        evidence = _evidence(padded, 4)
        return FrameFeatures(
            logit=logit,
            half=half,
            quarter=quarter,
            eighth=eighth,
            sixteenth=sixteenth,
            evidence=evidence,
            fine=self.fine.tokens(eighth, evidence),
            coarse=self.coarse.tokens(sixteenth, _evidence(padded, 8)),
        )

    def fuse(self, window: Sequence[FrameFeatures], centre: int, offsets: Sequence[float | Tensor]) -> Tensor:
        """Return corrected logits (B, C, H, W) of frame `centre` of a window of encoded frames.

        The window may hold any number of frames but must hold the corrected one. `offsets` are the frames' times
        relative to it, in units of 1/25 s: numbers, or tensors (B,) where they differ within the batch.
        """
        assert len(window) == len(offsets) and 0 <= centre < len(window), "one offset for each frame, centre among them"
        own = window[centre]
        others = [place for place in range(len(window)) if place != centre]
        times = [offsets[place] for place in others]
        coarse = self.coarse(own.coarse, [window[place].coarse for place in others], times, own.sixteenth)
        fine = self.fine(own.fine, [window[place].fine for place in others], times, own.eighth)
        x = self.join16(torch.cat([own.sixteenth, coarse], dim=1))
        x = self.join8(torch.cat([_double(x), own.eighth, fine], dim=1))
        witness = functional.pixel_shuffle(self.fine.witness(fine, own.evidence), 2).float()
        x = self.join4(torch.cat([_double(x), own.quarter, (_logit(witness) / LOGIT_SCALE).to(x.dtype)], dim=1))
        x = self.head(self.join2(torch.cat([_double(x), own.half], dim=1)))
        given = own.logit.shape[-2:]
        height, width = self.config.size or given
        gate = _resized(_enlarge(limit_gate(x.float()), 2)[..., :height, :width], given)
        witnessed = _logit(_resized(_enlarge(witness, 4)[..., :height, :width], given))
        return own.logit + gate * (witnessed - own.logit)


class _Limit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        (gradient,) = gradients
        # where x is out of range, what would bring it back still counts; a closed gate could never open otherwise
        outwards = ((x < 0) & (gradient > 0)) | ((x > 1) & (gradient < 0))
        return gradient.masked_fill(outwards, 0)


def limit_gate(x: Tensor) -> Tensor:
    """Return `x` kept within 0 and 1; gradients pass where x is inside, and where they pull it back inside."""
    limited: Tensor = _Limit.apply(x)  # type: ignore[no-untyped-call]
    return limited


def map_features(change: Callable[[Tensor], Tensor], frame: FrameFeatures) -> FrameFeatures:
    """Return a frame whose tensors went through `change`."""
    return FrameFeatures(
        logit=change(frame.logit),
        half=change(frame.half),
        quarter=change(frame.quarter),
        eighth=change(frame.eighth),
        sixteenth=change(frame.sixteenth),
        evidence=change(frame.evidence),
        fine=FrameTokens(*map(change, frame.fine)),
        coarse=FrameTokens(*map(change, frame.coarse)),
    )


def _conv_bn_relu(in_channels: int, out_channels: int, size: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def _stage(in_channels: int, out_channels: int) -> nn.Sequential:
    blocks = [InvertedResidual(out_channels, out_channels, 1, 2) for _ in range(2)]
    return nn.Sequential(_conv_bn_relu(in_channels, out_channels, 3, 2), *blocks)


def _join(in_channels: int, out_channels: int, expansion: int) -> nn.Sequential:
    block = InvertedResidual(out_channels, out_channels, 1, expansion)
    return nn.Sequential(_conv_bn_relu(in_channels, out_channels, 1), block)


def _logit(probability: Tensor) -> Tensor:
    return torch.logit(probability.float(), eps=1e-7).clamp(-LOGIT_LIMIT, LOGIT_LIMIT)


def _enlarge(x: Tensor, factor: int) -> Tensor:
    return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _resized(x: Tensor, size: Sequence[int] | None) -> Tensor:
    """Return `x` (B, C, H, W) at `size`, bilinear and without aliasing; as it is where that is its own."""
    if size is None or tuple(x.shape[-2:]) == tuple(size):
        return x
    return functional.interpolate(x, tuple(size), mode="bilinear", align_corners=False, antialias=True)


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def _evidence(probability: Tensor, stride: int) -> Tensor:
    """Return the mean probability in each quarter of a position, (B, 4C, H / 2 stride, W / 2 stride)."""
    return functional.pixel_unshuffle(functional.avg_pool2d(probability, stride), 2)


def _pad(frame: Tensor) -> Tensor:
    height, width = frame.shape[-2:]
    down, right = -height % STRIDE, -width % STRIDE
    return functional.pad(frame, (0, right, 0, down), mode="replicate") if down or right else frame
