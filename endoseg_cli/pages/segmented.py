"""The page of a video that `segment` reads: filled while the overlay is written."""

from __future__ import annotations

import contextlib
from pathlib import Path

from endoseg_cli.pages.appearances import AppearanceFinder
from endoseg_cli.pages.place import beside
from endoseg_cli.pages.thumbnails import from_planes
from endoseg_cli.pages.timeline import FrameFacts, Timeline
from endoseg_cli.pages.video_page import MOST_EMBEDDED, VideoPage, write_video_page
from endoseg_cli.video.geometry.planes import Planes
from endoseg_cli.video.reading.info import VideoInfo

LEGEND = (
    "The lesions that the model finds, outlined. Confidence is the mean probability inside the outline, uncertainty the"
    " mean entropy of the frame. Isolated failures are masks that come or go for a moment, before any refinement."
)


class SegmentedPage:
    """Collects frames, in a few bytes each and a small picture an appearance, and writes the page at the end."""

    def __init__(self, path: Path, info: VideoInfo, *, model: str, video: Path) -> None:
        self.path = path
        """The page."""
        self._info, self._model, self._video = info, model, video
        self._timeline, self._finder = Timeline(), AppearanceFinder()
        self.warnings: list[str] = []
        """What the page lacks; complete after `finish`."""

    def add(self, facts: FrameFacts, planes: Planes) -> None:
        """Take a predicted frame and its marked planes."""
        self._timeline.add(facts)
        aspect = float(self._info.sample_aspect_ratio or 1)
        self._finder.add(facts, lambda: from_planes(planes, self._info.rotation, aspect))

    def finish(self) -> None:
        """Write the page, whose video is complete, and remove a video of its own that is now inside it."""
        height, width = self._info.upright_size
        facts = [
            ("Model", self._model),
            ("Size", f"{width}×{height}"),
            ("Frames looked at", str(len(self._timeline))),
        ]
        page = VideoPage(
            title=self._info.path.name,
            facts=facts,
            legend=LEGEND,
            timeline=self._timeline,
            appearances=self._finder.finish(),
            video=self._video,
        )
        self.warnings += finish_page(self.path, page)


def finish_page(path: Path, page: VideoPage) -> list[str]:
    """Write a page and drop the video that is its own, unless it is too large to be inside; return what to warn of."""
    if not write_video_page(path, page):
        size = f"more than {MOST_EMBEDDED // 10**6} MB"
        return [f"{path}: the video has {size} and is not inside the page; keep {page.video} where it is"]
    if page.video == beside(path):
        with contextlib.suppress(OSError):
            page.video.unlink()
    return []
