"""Full pictures from interlaced recordings: one picture out for each picture in."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.filter import Graph

SMALLEST_SIDE = 4
"""Pictures that are smaller have no lines to speak of, and the filter refuses them."""


class Deinterlacer:
    """Runs FFmpeg's bwdif over the frames from the first interlaced one on; before that, frames pass untouched.

    The filter looks one frame ahead, so frames come out one step late; `flush` returns the rest. Progressive frames
    pass the filter unchanged.
    """

    def __init__(self, time_base: Fraction, threads: int) -> None:
        self._time_base = time_base
        self._threads = threads
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str] | None = None

    def push(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Yield the frames that are ready, in order."""
        shape = (frame.width, frame.height, frame.format.name)
        if self._graph is not None and shape != self._shape:
            yield from self.flush()
        if self._graph is None:
            if not frame.interlaced_frame or min(frame.width, frame.height) < SMALLEST_SIDE:
                yield frame
                return
            self._graph, self._shape = self._build(frame), shape
        self._graph.vpush(frame)
        yield from self._ready(self._graph)

    def flush(self) -> Iterator[av.VideoFrame]:
        """Yield what the filter still holds and forget the filter."""
        if self._graph is not None:
            graph, self._graph = self._graph, None
            graph.vpush(None)
            yield from self._ready(graph)

    def _build(self, frame: av.VideoFrame) -> Graph:
        graph = Graph()
        graph.threads = self._threads
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=self._time_base
        )
        bwdif = graph.add("bwdif", "mode=send_frame:deint=interlaced")
        graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
        return graph

    @staticmethod
    def _ready(graph: Graph) -> Iterator[av.VideoFrame]:
        while True:
            try:
                yield graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
