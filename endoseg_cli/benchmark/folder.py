"""The folder of a benchmark's own files, which is gone when it ends, however it ends."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from endoseg_cli.benchmark.footage import Footage, FrameSize, GivenVideo, RenderedVideo, render_pictures
from endoseg_cli.benchmark.measure import Tell
from endoseg_cli.errors import OutputError


@contextmanager
def own_folder() -> Iterator[Path]:
    """Give an empty folder; raises OutputError where none can be made."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="endoseg-benchmark-", ignore_cleanup_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"no folder for temporary files could be made: {reason}", hint="set TMPDIR to a folder with room"
        ) from error
    with folder as name:
        yield Path(name)


def find_footage(given: Path | None, sizes: Sequence[FrameSize], folder: Path, tell: Tell) -> list[Footage]:
    """Return the video of the user's, or rendered ones at all sizes, whose files go to `folder`."""
    if given is not None:
        return [GivenVideo(given)]
    tell("rendering a clip")
    pictures = render_pictures(max(size.height for size in sizes))
    return [RenderedVideo(folder, size, pictures) for size in sizes]
