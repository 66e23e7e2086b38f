"""The frames a person should look at: the best and the worst, as small pictures with both contours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.evaluation.frames.metrics import FrameScore
from endoseg_cli.pictures.redaction import NOTHING, RedactConfig

TRUTH_COLOUR = (0, 230, 64)
"""Green, RGB: contour of the true mask."""
PREDICTION_COLOUR = (255, 0, 200)
"""Magenta, RGB: contour of the predicted mask."""
LONGEST_SIDE = 448
"""Pixels of a gallery picture's longer side."""


@dataclass(frozen=True, kw_only=True)
class GalleryFrame:
    """One frame of the gallery."""

    score: FrameScore
    """Name and scores of the frame."""
    picture: NDArray[np.uint8]
    """(h, w, 3) RGB, shrunk, with the contours drawn in."""


class Gallery:
    """Keeps the best and the worst frames seen so far; pictures are drawn only for frames that get in.

    Worst: lowest Dice, of equals the one with more wrong pixels. Best: highest Dice among the frames with a lesion,
    since an empty frame that is kept empty shows nothing.
    """

    def __init__(self, keep: int, redact: RedactConfig = NOTHING) -> None:
        """Keep so many of each; `redact` says what of their pictures is blanked."""
        self._keep = keep
        self._redact = redact
        self._seen = 0
        self._worst = _Ranking(keep, _badness)
        self._best = _Ranking(keep, _goodness)

    def offer(
        self,
        score: FrameScore,
        image: NDArray[np.uint8],
        truth: NDArray[np.bool_],
        prediction: NDArray[np.bool_],
        path: Path = Path("frame"),
    ) -> None:
        """Consider one frame: image (H, W, 3) RGB, masks (H, W); raises UsageError for a blanked box that leaves it."""
        self._redact.check(truth.shape, path)
        self._seen += 1
        wanted = [self._worst] if self._worst.wants(score) else []
        wanted += [self._best] if score.present and self._best.wants(score) else []
        if wanted:
            shown = self._redact.blanked(image, path)
            frame = GalleryFrame(score=score, picture=draw_contours(shown, truth, prediction))
            for ranking in wanted:
                ranking.add(frame)

    def worst(self) -> list[GalleryFrame]:
        """Return the worst frames, worst first; at most half of all frames, so that some are left to be the best."""
        return self._worst.frames[: min(self._keep, (self._seen + 1) // 2)]

    def best(self) -> list[GalleryFrame]:
        """Return the best frames, best first, without those among the worst."""
        worst = {frame.score.name for frame in self.worst()}
        return [frame for frame in self._best.frames if frame.score.name not in worst]


def draw_contours(
    image: NDArray[np.uint8], truth: NDArray[np.bool_], prediction: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Shrink an RGB image (H, W, 3) and draw the true contour green and the predicted one magenta.

    Contours are found at full size, so a lesion of a few pixels does not vanish in the small picture.
    """
    height, width = truth.shape
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    for mask, colour, thickness in ((truth, TRUTH_COLOUR, 4), (prediction, PREDICTION_COLOUR, 2)):
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        small = [np.round(contour * scale).astype(np.int32) for contour in contours]
        cv2.drawContours(picture, small, -1, colour, thickness, cv2.LINE_AA)
    return picture


class _Ranking:
    """The `keep` frames with the highest rank, highest first; of equals, the one seen first."""

    def __init__(self, keep: int, rank: Callable[[FrameScore], tuple[float, int]]) -> None:
        self._keep = keep
        self._rank = rank
        self.frames: list[GalleryFrame] = []

    def wants(self, score: FrameScore) -> bool:
        if len(self.frames) < self._keep:
            return True
        return self._keep > 0 and self._rank(score) > self._rank(self.frames[-1].score)

    def add(self, frame: GalleryFrame) -> None:
        self.frames.append(frame)
        self.frames.sort(key=lambda member: self._rank(member.score), reverse=True)
        del self.frames[self._keep :]


def _badness(score: FrameScore) -> tuple[float, int]:
    return (-score.dice, score.fp + score.fn)


def _goodness(score: FrameScore) -> tuple[float, int]:
    return (score.dice, score.tp)
