"""CUDA's streams, events, pinned memory and graphs, pretended on the CPU.

What a stream of one's own is asked to copy happens when something waits for it, not before, so that who forgets to wait
reads garbage. A graph does again, into the same memory, what was done while it was captured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from endoseg_cli.networks.running import transfers

GARBAGE = 0x7F
"""What is in memory that nothing was written to; as float it is 3.4e38."""


class Stream:
    """Copies later, in order."""

    def __init__(self, device: object = None) -> None:
        self.waiting: list[Callable[[], object]] = []

    def wait_stream(self, other: Stream) -> None:
        """Wait for what another stream was asked for so far."""
        other.finish()

    def finish(self) -> None:
        """Do all that waits."""
        while self.waiting:
            self.waiting.pop(0)()


_current: list[Stream] = [Stream()]
"""The streams that are current, the usual one first."""


class Event:
    """A place in a stream's work."""

    def record(self, stream: Stream) -> None:
        """Remember the stream."""
        self._stream = stream

    def synchronize(self) -> None:
        """Wait for it."""
        self._stream.finish()


class Graph:
    """What was done while it was captured."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def replay(self) -> None:
        """Do all again, into the memory of then."""
        for function, arguments, options, result in self.done:
            again = function(*arguments, **options)
            for one, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(one, Tensor) and one.data_ptr() != new.data_ptr():
                    one.copy_(new)


def leave_current(stream: Stream) -> None:
    """Make a stream the current one and do not take it back, as torch does where capturing fails."""
    _current.append(stream)


class _Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, graph: Graph) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._graph = graph

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self._graph.done.append((func, args, kwargs or {}, result))
        return result


class _Copying(TorchFunctionMode):
    """A stream is the current one within; copies that do not block are put into it, unless it is the usual one."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream
        self._before: list[Stream] = []

    def __enter__(self) -> Any:
        self._before = list(_current)
        _current.append(self._stream)
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        _current[:] = self._before
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._stream is _current[0]:
            return func(*args, **kwargs)
        if func is Tensor.copy_ and kwargs.get("non_blocking"):
            self._stream.waiting.append(lambda: args[0].copy_(args[1]))
            return args[0]
        if func is Tensor.to and kwargs.get("non_blocking"):
            there = _garbage(args[0].shape, args[0].dtype)
            self._stream.waiting.append(lambda: there.copy_(args[0]))
            return there
        return func(*args, **kwargs)


def pretend(patch: pytest.MonkeyPatch) -> None:
    """Let `torch.cuda` be this, for tensors of the CPU."""
    _current[:] = [Stream()]
    patch.setattr(torch.cuda, "Stream", Stream)
    patch.setattr(torch.cuda, "Event", Event)
    patch.setattr(torch.cuda, "CUDAGraph", Graph)
    patch.setattr(torch.cuda, "graph", _graph)
    patch.setattr(torch.cuda, "stream", _Copying)
    patch.setattr(torch.cuda, "device", _nothing)
    patch.setattr(torch.cuda, "current_stream", lambda device=None: _current[-1])
    patch.setattr(torch.cuda, "empty_cache", lambda: None)
    patch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    patch.setattr(transfers, "pinned_empty", _garbage)


def _garbage(shape: Any, dtype: torch.dtype) -> Tensor:
    made = torch.empty(shape, dtype=dtype)
    made.view(torch.uint8).fill_(GARBAGE)
    return made


def _nothing(device: object) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def _graph(graph: Graph, stream: Stream, capture_error_mode: str = "global") -> Iterator[None]:
    with _Recording(graph):
        yield
