"""What a CUDA device does with a batch, started all at once instead of kernel by kernel."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Work = Callable[[Tensor], list[Tensor]]
"""Makes several tensors (N, ...) of pictures (N, 3, h, w)."""
WARM_UP = 3
"""How often work is done before it is captured, as CUDA asks for."""
MOST_DIFFERENCE = 0.01
"""Of probabilities, between a graph and what it was made of: under capture libraries may choose other kernels."""


class Captured:
    """Does work on pictures as a CUDA graph, captured when a second batch of the same size comes.

    A network of a U-Net's size is hundreds of short kernels, each of which Python would have to start. Smaller batches
    are replayed in a part of the graph, as long as they fill half of it. What is returned holds until the next batch;
    one thread at a time.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._fails = False
        self._last = 0

    @property
    def is_captured(self) -> bool:
        """Whether there is a graph."""
        return self._graph is not None

    def __call__(self, work: Work, images: Tensor) -> list[Tensor]:
        """Return what the work, the same in all calls, makes of pictures (N, 3, h, w), each (N, ...)."""
        count, last = len(images), self._last
        self._last = count
        if count == last and count > self._size and not self._fails:
            self._graph = captured_or_none(work, images)
            self._fails = self._graph is None
        if self._graph is None or not count <= self._size < 2 * count:
            return work(images)
        return self._graph.replay(images)

    @property
    def _size(self) -> int:
        return 0 if self._graph is None else self._graph.size


class Graph:
    """Work captured with the pictures of an example.

    Raises what capturing raises, and RuntimeError where the first replay gives other numbers.
    """

    def __init__(self, work: Work, example: Tensor) -> None:
        self._images = example.clone()
        device = example.device
        # torch leaves the capturing stream behind where capturing fails
        with torch.cuda.device(device), torch.cuda.stream(torch.cuda.current_stream(device)):
            beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            beside.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(beside):
                for _ in range(WARM_UP):
                    expected = work(self._images)
            torch.cuda.current_stream(device).wait_stream(beside)
            self._graph = torch.cuda.CUDAGraph()
            # other threads go on
            with torch.cuda.graph(self._graph, stream=beside, capture_error_mode="thread_local"):
                self._results = work(self._images)
        for result in self._results:
            result.zero_()  # what a replay does not write would be seen
        _check_same(self.replay(example), expected)

    @property
    def size(self) -> int:
        """How many pictures it takes at most."""
        return len(self._images)

    def replay(self, images: Tensor) -> list[Tensor]:
        """Return the work's results for as many pictures as the example had, or fewer, until the next replay."""
        self._images[: len(images)].copy_(images)
        self._graph.replay()
        return [result[: len(images)] for result in self._results]


def captured_or_none(work: Work, example: Tensor) -> Graph | None:
    """Return work as a graph; None where that fails."""
    try:
        return Graph(work, example)
    except RuntimeError:
        return None


def _check_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        difference = float((torch.sigmoid(one.float()) - torch.sigmoid(other.float())).abs().max())
        if not difference < MOST_DIFFERENCE:
            raise RuntimeError(f"the graph differs from what it was made of by {difference}")
