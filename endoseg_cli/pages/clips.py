"""The page of a clip that `evaluate --video` scores: truth and prediction outlined, and Dice on the timeline."""

from __future__ import annotations

import math
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.clips.scored_clips import ClipFrame
from endoseg_cli.evaluation.video.metrics import VideoFrameScore, isolated_failures
from endoseg_cli.evaluation.video.scoring import BEFORE, Probability
from endoseg_cli.networks.running.entropy import binary_entropy
from endoseg_cli.pages.appearances import AppearanceFinder
from endoseg_cli.pages.place import beside
from endoseg_cli.pages.segmented import finish_page
from endoseg_cli.pages.thumbnails import WIDTH, Picture
from endoseg_cli.pages.timeline import FrameFacts, Timeline
from endoseg_cli.pages.video_page import VideoPage
from endoseg_cli.part_file import FinishOrAbort
from endoseg_cli.temporal.isolated_frames import FrameFlag, flag_scene
from endoseg_cli.video.writing.picture_writer import PictureWriter

TRUTH_COLOUR, PREDICTION_COLOUR = (40, 220, 90), (255, 60, 210)
SHOWN_HEIGHT = 480
"""Pixels; what the model sees of a frame is drawn at this height."""


class ClipPage(FinishOrAbort):
    """Collects one clip while it is scored; a context manager whose end writes the page, or nothing on an error."""

    def __init__(self, path: Path, name: str, *, method: str, model: str, overwrite: bool) -> None:
        self._path, self._name, self._method, self._model = path, name, method, model
        self._overwrite = overwrite
        self._before: list[VideoFrameScore] = []
        self._dice: list[float] = []
        self._timeline, self._finder = Timeline(), AppearanceFinder()
        self._writer: PictureWriter | None = None
        self._size = (0, 0)
        self.warnings: list[str] = []
        """What the page lacks; complete after `finish`."""

    def add(
        self,
        frame: ClipFrame,
        score: VideoFrameScore,
        probability: Probability,
        mask: NDArray[np.bool_],
    ) -> None:
        """Take a frame as one method has it; only the page's own method and the prediction itself are looked at."""
        if score.method == BEFORE:
            self._before.append(score)
        if score.method != self._method:
            return
        facts = _facts(score, probability, mask)
        picture = self._draw(frame, mask)
        assert self._writer is not None, "the first frame opens the video"
        self._writer.write(picture, frame.time)
        self._timeline.add(facts)
        self._finder.add(facts, lambda: _small(picture))
        if not math.isnan(score.dice):
            self._dice.append(score.dice)

    def finish(self) -> None:
        """Write the page; raises OutputError."""
        if self._writer is None:
            return
        self._writer.finish()
        self._timeline.isolated.update(_isolated(self._before))
        facts = [("Model", self._model), ("Method", self._method), ("Frames", str(len(self._timeline)))]
        if self._dice:
            facts.append(("Mean Dice", f"{sum(self._dice) / len(self._dice):.3f}"))
        outlines = "Magenta: what the model finds, after this method."
        if self._dice:
            outlines = "Green: the truth. " + outlines
        page = VideoPage(
            title=self._name,
            facts=facts,
            legend=f"{outlines} Isolated failures are those of the prediction before it.",
            timeline=self._timeline,
            appearances=self._finder.finish(),
            video=beside(self._path),
        )
        self.warnings += finish_page(self._path, page)

    def abort(self) -> None:
        """Leave nothing."""
        if self._writer is not None:
            self._writer.abort()

    def _draw(self, frame: ClipFrame, mask: NDArray[np.bool_]) -> Picture:
        if self._writer is None:
            height, width = frame.picture.shape[:2]
            shown = SHOWN_HEIGHT * (frame.aspect or width / height)
            self._size = SHOWN_HEIGHT, 2 * max(round(shown / 2), 1)
            self._writer = PictureWriter(beside(self._path), self._size, overwrite=self._overwrite)
        height, width = self._size
        source = frame.picture if frame.hidden is None else np.where(frame.hidden[..., None], 0, frame.picture)
        picture = np.asarray(cv2.resize(source, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        for outlined, colour in ((frame.truth, TRUTH_COLOUR), (mask, PREDICTION_COLOUR)):
            if outlined is not None and outlined.any():
                large = cv2.resize(outlined.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
                contours, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
                cv2.drawContours(picture, contours, -1, colour, 2, cv2.LINE_AA)
        if frame.hidden is not None:
            hidden = cv2.resize(frame.hidden.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
            picture[hidden > 0] = 0
        return picture


def _facts(score: VideoFrameScore, probability: Probability, mask: NDArray[np.bool_]) -> FrameFacts:
    most = np.asarray(probability.max(axis=0))
    return FrameFacts(
        time=score.time,
        area=score.pixels / mask.size,
        confidence=float(most[mask].mean()) if score.pixels else math.nan,
        uncertainty=float(binary_entropy(probability).mean()),
        dice=score.dice,
    )


def _isolated(scores: list[VideoFrameScore]) -> dict[int, FrameFlag]:
    """Return the frames that fail alone; where the truth is not known, those that the rule on their size flags."""
    flags: list[FrameFlag | None] = []
    if any(score.truth_pixels is not None for score in scores):
        flags = list(isolated_failures(scores))
    else:
        for _, scene in groupby(scores, key=lambda score: score.scene):
            flags += flag_scene([score.pixels for score in scene])
    return {index: flag for index, flag in enumerate(flags) if flag is not None}


def _small(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    size = WIDTH, max(round(height * WIDTH / width), 1)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
