"""Clips with what the frozen networks say of them, computed once and kept in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endoseg_cli.data.clips.degrade import DEGRADATIONS, degrade
from endoseg_cli.data.clips.training_clips import RawClip
from endoseg_cli.evaluation.frames.metrics import score_frame
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.files.bundle import ModelCard
from endoseg_cli.networks.running.ensemble import combine
from endoseg_cli.networks.running.normalise import Normaliser
from endoseg_cli.networks.running.prepared import prepared
from endoseg_cli.networks.running.presence import demand_presence
from endoseg_cli.pictures.resize import resize_frame, resize_mask

Maps = NDArray[np.float32]  # (N, H, W)
BATCH = 8
"""Frames that are predicted together."""
AGREEMENT = 0.85
"""Dice between the two networks' masks from which a frame without a mask is trusted."""
CERTAIN = 0.35
"""Mean uncertainty of a trusted frame's foreground at most, in nats."""
UNCERTAIN_PIXEL = 0.5
"""Pixels of a trusted frame whose uncertainty is above this teach nothing, in nats."""
TWINS = 3
"""Frames in the middle of a clip that get a degraded twin."""
STRENGTHS = (0.3, 0.5, 0.75, 1.0)
"""How badly a picture is degraded, in turn, until the networks fail on it."""
FAILED = 0.6
"""Dice with what they said of the good picture below which networks have failed on its twin."""


@dataclass(frozen=True, kw_only=True)
class Twin:
    """A frame of a clip whose picture was degraded until the networks failed on it."""

    frame: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    probability: NDArray[np.float16]
    """(H, W)."""
    uncertainty: NDArray[np.float16]
    """(H, W), in nats."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip as the corrective network learns from it; N frames."""

    frames: NDArray[np.uint8]
    """(N, H, W, 3) RGB."""
    truth: NDArray[np.bool_]
    """(N, H, W): the mask, or what the networks agree on."""
    known: NDArray[np.bool_]
    """(N, H, W): where the truth is known."""
    trusted: tuple[int, ...]
    """Frames whose truth is known at all."""
    probability: NDArray[np.float16]
    """(N, H, W): mean probability of the networks."""
    uncertainty: NDArray[np.float16]
    """(N, H, W): their uncertainty in nats."""
    flow: NDArray[np.float16]
    """(N - 1, 2, h, w): from each frame to the next."""
    interval: float
    """Time between consecutive frames in units of 1/25 s."""
    group: str
    """Where it comes from."""
    agreed: tuple[int, ...] = ()
    """Frames that the networks agree on surely, whether or not there is a mask."""
    twins: Mapping[int, Twin] = field(default_factory=dict)
    """Degraded twins of some of the agreed frames."""


class FrozenNetworks:
    """The segmentation networks of a model, which only predict."""

    def __init__(
        self,
        networks: Sequence[UNet],
        card: ModelCard,
        device: torch.device,
        *,
        kept_size: tuple[int, int] | None = None,
    ) -> None:
        """Clips are kept at `kept_size` = (H, W), after they were predicted at their own size."""
        self._networks = [prepared(network, device) for network in networks]
        self._scaled = Normaliser(card.mean, card.std, device)
        self._device = device
        self._presence = card.presence
        self._kept_size = kept_size
        self.input_size = card.input_size
        """Height and width of the frames that they take."""
        self.crop = card.field_of_view == "auto"
        """Whether the networks take the endoscope's picture cropped out of the frame."""

    def normalise(self, images: Tensor) -> Tensor:
        """Return uint8 pictures (..., 3, H, W) as the networks take them, on the device."""
        return self._scaled(images.to(self._device))

    def add_predictions(self, clip: RawClip, twins: np.random.Generator | None = None) -> Clip:
        """Return a clip with what the networks say of it; without masks, its truth is what they agree on surely.

        `twins` draws how the middle frames are degraded until the networks fail on them; no twins without it.
        """
        probability, uncertainty, masks = self._predict(clip.frames)
        agreed = _trusted_frames(masks, uncertainty)
        truth, known = clip.truth, np.ones(probability.shape, np.bool_)
        if truth is None:
            truth, known = probability > 0.5, uncertainty <= UNCERTAIN_PIXEL
            known &= agreed[:, None, None]
        made = {} if twins is None else self._make_twins(clip.frames, probability, agreed, twins)
        whole = Clip(
            frames=clip.frames,
            truth=truth,
            known=known,
            trusted=tuple(np.flatnonzero(known.any((1, 2))).tolist()),
            probability=probability.astype(np.float16),
            uncertainty=uncertainty.astype(np.float16),
            flow=clip.flow,
            interval=clip.interval,
            group=clip.group,
            agreed=tuple(np.flatnonzero(agreed).tolist()),
            twins=made,
        )
        return whole if self._kept_size is None else shrunk(whole, self._kept_size)

    def _predict(self, frames: NDArray[np.uint8]) -> tuple[Maps, Maps, list[NDArray[np.bool_]]]:
        """Return probability (presence demanded, as `segment` does) and uncertainty (N, H, W), and each one's masks."""
        pictures = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
        images = self.normalise(pictures).to(memory_format=torch.channels_last)
        with torch.inference_mode():
            each = [torch.cat([network(part) for part in torch.split(images, BATCH)]) for network in self._networks]
        probability, uncertainty = (maps.cpu().numpy() for maps in combine(each))
        masks = [maps[:, 0].cpu().numpy() > 0 for maps in each]
        return demand_presence(probability, self._presence)[:, 0], uncertainty[:, 0], masks

    def _make_twins(
        self, frames: NDArray[np.uint8], said: Maps, agreed: NDArray[np.bool_], rng: np.random.Generator
    ) -> dict[int, Twin]:
        """Return twins of the middle frames that are agreed on, where some degradation makes the networks fail."""
        first = (len(frames) - TWINS) // 2
        left = [index for index in range(max(first, 0), min(first + TWINS, len(frames))) if agreed[index]]
        kind, draws = DEGRADATIONS[int(rng.integers(len(DEGRADATIONS)))], int(rng.integers(2**31))
        twins: dict[int, Twin] = {}
        # networks seldom find in a bad picture what they do not see in the good one: one try is enough there
        for strength in STRENGTHS if (said[left] > 0.5).any() else STRENGTHS[-1:]:
            if not left:
                break
            worse = np.stack([degrade(frames[index], kind, strength, np.random.default_rng(draws)) for index in left])
            probability, uncertainty, _ = self._predict(worse)
            for place, index in enumerate(left):
                if score_frame(probability[place] > 0.5, said[index] > 0.5).dice < FAILED:
                    twins[index] = Twin(
                        frame=worse[place],
                        probability=probability[place].astype(np.float16),
                        uncertainty=uncertainty[place].astype(np.float16),
                    )
            left = [index for index in left if index not in twins]
        return twins


def shrunk(clip: Clip, size: tuple[int, int]) -> Clip:
    """Return a clip at `size` = (H, W): pictures and maps by area, masks by nearest pixel, flow in its pixels."""
    height, width = clip.truth.shape[1:]
    if (height, width) == size:
        return clip
    scale = np.array([size[1] / width, size[0] / height], np.float32)[:, None, None]
    return replace(
        clip,
        frames=np.stack([resize_frame(frame, size) for frame in clip.frames]),
        truth=np.stack([resize_mask(mask, size) for mask in clip.truth]),
        known=np.stack([resize_mask(mask, size) for mask in clip.known]),
        probability=np.stack([_resize_map(each, size) for each in clip.probability]),
        uncertainty=np.stack([_resize_map(each, size) for each in clip.uncertainty]),
        flow=(clip.flow * scale).astype(np.float16),
        twins={
            index: Twin(
                frame=resize_frame(twin.frame, size),
                probability=_resize_map(twin.probability, size),
                uncertainty=_resize_map(twin.uncertainty, size),
            )
            for index, twin in clip.twins.items()
        },
    )


def _resize_map(values: NDArray[np.float16], size: tuple[int, int]) -> NDArray[np.float16]:
    resized = cv2.resize(values.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float16)


def _trusted_frames(masks: Sequence[NDArray[np.bool_]], uncertainty: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which frames the networks agree on with low uncertainty, (N,); one network need only be sure."""
    first, last = masks[0], masks[-1]
    common, areas = (first & last).sum((1, 2)), first.sum((1, 2)) + last.sum((1, 2))
    agree = 2 * common >= AGREEMENT * areas  # two empty masks agree
    either = first | last
    foreground = np.maximum(either.sum((1, 2)), 1)
    trusted: NDArray[np.bool_] = agree & ((uncertainty * either).sum((1, 2)) / foreground <= CERTAIN)
    return trusted


def split_clips(clips: Sequence[Clip], share: float = 0.1) -> tuple[list[Clip], list[Clip]]:
    """Set about a tenth of the clips aside: the last groups, or of a single group the last clips."""
    groups = list(dict.fromkeys(clip.group for clip in clips))
    if len(groups) > 1:
        held = set(groups[-max(round(share * len(groups)), 1) :])
        return [clip for clip in clips if clip.group not in held], [clip for clip in clips if clip.group in held]
    cut = len(clips) - max(round(share * len(clips)), 1) if len(clips) > 1 else 1
    return list(clips[:cut]), list(clips[cut:])
