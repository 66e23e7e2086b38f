"""One page for one video, from the template, with everything in it that a browser needs."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from endoseg_cli.errors import OutputError
from endoseg_cli.pages.appearances import LONGEST_GAP, Appearance
from endoseg_cli.pages.timeline import Timeline
from endoseg_cli.part_file import whole_file
from endoseg_cli.templates import page_template, page_text

MOST_EMBEDDED = 200_000_000
"""Bytes of the largest video that is put into its page; a larger one lies beside the page."""
_CHUNK = 3 << 18
"""Bytes of a video that are read at once; a multiple of three, so that base64 needs no padding between chunks."""


@dataclass(frozen=True, kw_only=True)
class VideoPage:
    """What one page shows."""

    title: str
    """The video's name."""
    facts: Sequence[tuple[str, str]]
    """What is said of the video and the model, name and value."""
    legend: str
    """What the outlines in the player are."""
    timeline: Timeline
    """Every frame."""
    appearances: Sequence[Appearance]
    """Every time that a lesion is in view."""
    video: Path
    """H.264 in an .mp4 on the timeline's clock."""


def write_video_page(path: Path, page: VideoPage) -> bool:
    """Write the page, reading its video bit by bit; return whether the video is inside it.

    A video of more than MOST_EMBEDDED bytes is referred to by its place relative to the page. Raises OutputError.
    """
    try:
        embedded = page.video.stat().st_size <= MOST_EMBEDDED
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            for part in _render(path, page, embedded=embedded):
                file.write(part.encode("utf-8", errors="replace"))  # names that are not UTF-8
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}", hint="check the folder and its free space"
        ) from error
    return embedded


def _render(path: Path, page: VideoPage, *, embedded: bool) -> Iterator[str]:
    style, script = page_text("pages", "video.css"), page_text("pages", "video.js")
    media = "blob:" if embedded else "'self' file:"
    return page_template("pages", "video.html").generate(
        page=page,
        data=_data(page),
        style=style,
        script=script,
        # The browser itself refuses whatever else might get in: only this style and this script, no connection.
        policy=f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; media-src {media}; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        video_chunks=_base64(page.video) if embedded else None,
        video_url="" if embedded else _relative_url(page.video, path),
        gap=f"{LONGEST_GAP:g}",
    )


def _data(page: VideoPage) -> dict[str, Any]:
    shown = [{name: value for name, value in vars(one).items() if name != "thumbnail"} for one in page.appearances]
    return {
        "title": page.title.encode("utf-8", errors="replace").decode("utf-8"),
        "frames": page.timeline.columns(),
        "isolated": sorted(page.timeline.isolated.items()),
        "appearances": shown,
    }


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _base64(video: Path) -> Iterator[str]:
    with video.open("rb") as file:
        while data := file.read(_CHUNK):
            yield base64.b64encode(data).decode("ascii")


def _relative_url(video: Path, page: Path) -> str:
    place = os.path.relpath(video.absolute(), page.absolute().parent)
    return quote(Path(place).as_posix().encode("utf-8", errors="surrogateescape"))
