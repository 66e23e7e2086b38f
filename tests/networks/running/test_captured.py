"""A graph gives what the work gives, or is not used."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from endoseg_cli.networks.running.captured import Captured
from tests.networks.tiny import tiny_bundle
from tests.pretended_cuda import pretend

SIZE = 4


class Work:
    """What a model makes of pictures, counting its calls."""

    def __init__(self) -> None:
        self.networks = tiny_bundle().networks
        self.calls = 0

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> list[Tensor]:
        self.calls += 1
        return [network(images.float() / 255) for network in self.networks]


def pictures(seed: int, count: int = SIZE) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 64, 64), generator=generator, dtype=torch.uint8)


@torch.inference_mode()
def test_whole_batches_are_replayed_and_smaller_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    work = Work()
    captured = Captured(work, SIZE)
    captured(pictures(0, 2))
    assert work.calls == 1, "not a whole batch"
    captured(pictures(0))
    assert captured.is_captured
    calls = work.calls
    for seed, count in ((1, SIZE), (2, 3), (3, SIZE), (4, 1)):
        found = [result.clone() for result in captured(pictures(seed, count))]
        assert work.calls == calls, "replayed"
        expected = work(pictures(seed, count))
        calls = work.calls
        assert [len(result) for result in found] == [count, count]
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert len(captured(pictures(5, SIZE + 1))[0]) == SIZE + 1 and work.calls == calls + 1


def fails(graph: object, capture_error_mode: str) -> None:
    raise RuntimeError("CUDA error: operation not permitted when stream is capturing")


def test_what_cannot_be_captured_is_done_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    monkeypatch.setattr(torch.cuda, "graph", fails)
    check_plain(Work())


def test_a_graph_that_differs_from_the_work_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)

    class Alternating(Work):
        def __call__(self, images: Tensor) -> list[Tensor]:
            return [result + self.calls % 2 for result in super().__call__(images)]

    work = Alternating()
    captured = Captured(work, SIZE)
    with torch.inference_mode():
        captured(pictures(0))
    assert not captured.is_captured and work.calls > SIZE

    class Rewriting(Work):  # its graph writes into other memory than it read its result from
        def __call__(self, images: Tensor) -> list[Tensor]:
            return [torch.from_numpy(result.numpy().copy()) for result in super().__call__(images)]

    check_plain(Rewriting())


@torch.inference_mode()
def check_plain(work: Callable[[Tensor], list[Tensor]]) -> None:
    captured = Captured(work, SIZE)
    for seed in range(2):
        for one, other in zip(captured(pictures(seed)), work(pictures(seed)), strict=True):
            torch.testing.assert_close(one, other)
    assert not captured.is_captured
