"""Look at a video's beginning while torch is imported and the model is loaded.

Imports no torch itself, which takes longer than the look.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from itertools import takewhile
from pathlib import Path

from endoseg_cli.pictures.images import is_video
from endoseg_cli.video.reading.field_of_view import Beginning
from endoseg_cli.video.reading.reader import looks_at


class LookAhead:
    """The beginning of a video, looked at in a thread of its own from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: Future[Beginning] = Future()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="endoseg-look-ahead", daemon=True)
        self._thread.start()

    def of(self, path: Path) -> Callable[[], Beginning] | None:
        """Return what waits for what was seen, and raises what reading raised; None for another video."""
        return self._found.result if path == self._path else None

    def close(self) -> None:
        """Stop looking, at the latest with the next look, half a second of video later."""
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        try:
            with closing(looks_at(self._path, None)) as looks:
                self._found.set_result(Beginning(takewhile(lambda _: not self._stop.is_set(), looks)))
        except BaseException as error:
            self._found.set_exception(error)


@contextmanager
def looking_ahead(given: str | None) -> Iterator[LookAhead | None]:
    """Look at an input of a job from its first frame on until the block ends, if it is a file of a video.

    Else give None.
    """
    path = None if given is None else Path(given)
    if path is None or not (is_video(path) and path.is_file()):
        yield None
        return
    ahead = LookAhead(path)
    try:
        yield ahead
    finally:
        ahead.close()
