"""Where a page's video lies while the page grows, and after it where it is too large to be put in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from endoseg_cli.errors import UsageError

PAGE_SUFFIXES = (".html", ".htm")


def beside(page: Path) -> Path:
    """Return the name of the video that belongs to a page alone."""
    return page.with_name(page.stem + ".overlay.mp4")


def page_for(given: Path, name: Path, *, single: bool) -> Path:
    """Return the page of one video: `given` itself for a single one, else `name` (without ending) in that folder.

    Raises UsageError for a file where several pages are due, and for another ending.
    """
    if given.suffix.lower() in PAGE_SUFFIXES and not given.is_dir():
        if not single:
            raise UsageError(
                f"--report {given} is one file, but the inputs are several, or a folder or pattern",
                hint="give a folder, for a page of each video",
            )
        return given
    if given.suffix and single and not given.is_dir():
        raise UsageError(f"--report {given}: expected an ending of .html, or a folder")
    return given / name.with_name(name.name + PAGE_SUFFIXES[0])


def pages_for(given: Path, names: Sequence[str], *, single: bool) -> list[Path]:
    """Return the pages of several videos; raises UsageError where two would be the same."""
    pages = [page_for(given, Path(name), single=single) for name in names]
    for number, page in enumerate(pages):
        if page in pages[:number]:
            raise UsageError(f"two videos would write {page}", hint="evaluate them one by one")
    return pages
