"""Look at the beginning of a job's first video while its model is loaded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from endoseg_cli.inference.inputs.sources import Source
from endoseg_cli.inference.inputs.views import ViewChoice
from endoseg_cli.video.reading.field_of_view import Beginning
from endoseg_cli.video.reading.reader import looks_at


class LookAhead:
    """The beginning of a video, looked at in a thread of its own from now on."""

    def __init__(self, path: Path, start: float | None) -> None:
        self._path, self._start = path, start
        self._found: Future[Beginning] = Future()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="endoseg-look-ahead", daemon=True)
        self._thread.start()

    def beginning(self) -> Beginning:
        """Wait for what was seen; raises what reading the video raises."""
        return self._found.result()

    def close(self) -> None:
        """Stop looking, at the latest with the next frame."""
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        try:
            looks = looks_at(self._path, self._start)
            self._found.set_result(Beginning(look for look in looks if not self._stopped()))
        except BaseException as error:
            self._found.set_exception(error)

    def _stopped(self) -> bool:
        if self._stop.is_set():
            raise InterruptedError("nobody waits for the video's beginning")
        return False


@contextmanager
def looking_ahead(source: Source, view: ViewChoice | None, start: float | None) -> Iterator[LookAhead | None]:
    """Look at a source until the block ends, if it is a video that can be opened twice; else give None.

    `view` is what was asked for as field of view; nothing is looked for where that is known already.
    """
    is_video = not source.is_picture and not source.pictures and source.path.is_file()
    if not is_video or view not in (None, "auto"):
        yield None
        return
    ahead = LookAhead(source.path, start)
    try:
        yield ahead
    finally:
        ahead.close()
