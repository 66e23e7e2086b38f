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
    """Does work on pictures as a CUDA graph from the first whole batch on; one that cannot be captured is done plainly.

    A network of a U-Net's size is hundreds of short kernels, each of which Python would have to start. What is returned
    holds until the next batch.
    """

    def __init__(self, work: Work, batch_size: int) -> None:
        self._work, self._batch_size = work, batch_size
        self._graph: Graph | None = None
        self._tried = False

    @property
    def is_captured(self) -> bool:
        """Whether batches are replayed."""
        return self._graph is not None

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return what the work makes of pictures (N, 3, h, w), each (N, ...)."""
        if not self._tried and len(images) == self._batch_size:
            self._tried = True
            self._graph = captured_or_none(self._work, images)
        if self._graph is None or len(images) > self._batch_size:
            return self._work(images)
        return self._graph.replay(images)


class Graph:
    """Work captured with the pictures of an example; raises what capturing raises, and where a replay differs."""

    def __init__(self, work: Work, example: Tensor) -> None:
        self._images = example.clone()
        with torch.cuda.device(example.device):
            beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(WARM_UP):
                    expected = work(self._images)
            torch.cuda.current_stream().wait_stream(beside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):  # other threads go on
                self._results = work(self._images)
        for result in self._results:
            result.zero_()  # what a replay does not write would be seen
        _check_same(self.replay(example), expected)

    def replay(self, images: Tensor) -> list[Tensor]:
        """Return the work's results for as many pictures as the example had, or fewer, until the next replay."""
        self._images[: len(images)].copy_(images)
        self._graph.replay()
        return [result[: len(images)] for result in self._results]


def captured_or_none(work: Work, example: Tensor) -> Graph | None:
    """Return work as a graph; None where that fails, which costs speed and nothing else."""
    try:
        return Graph(work, example)
    except (RuntimeError, AssertionError):
        return None


def _check_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        difference = float((torch.sigmoid(one.float()) - torch.sigmoid(other.float())).abs().max())
        assert difference < MOST_DIFFERENCE, f"the graph differs from what it was made of by {difference}"
