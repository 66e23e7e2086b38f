"""A graph gives what the work gives, or is not used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from endoseg_cli.networks.running.captured import WARM_UP, Captured
from tests.networks.tiny import tiny_bundle
from tests.pretended_cuda import Stream, leave_current, pretend

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


def same(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_the_second_batch_of_a_size_is_captured_and_smaller_ones_are_replayed_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch)
    work, captured = Work(), Captured()
    for seed, count in ((0, 1), (1, SIZE)):
        captured(work, pictures(seed, count))
    assert work.calls == 2, "no size came twice"
    captured(work, pictures(2))
    assert captured.is_captured
    for seed, count, is_replayed in ((1, SIZE, True), (2, 3, True), (3, SIZE, True), (4, 2, False), (5, 5, False)):
        calls = work.calls
        found = [result.clone() for result in captured(work, pictures(seed, count))]
        assert (work.calls == calls) is is_replayed, count
        assert [len(result) for result in found] == [count, count]
        same(found, work(pictures(seed, count)))
    for seed in range(2):  # a larger size that comes twice
        same(captured(work, pictures(seed, 6)), work(pictures(seed, 6)))
    calls = work.calls
    captured(work, pictures(3, 5))
    assert work.calls == calls


def test_what_cannot_be_captured_is_done_plainly_on_the_stream_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for fails_at in ("beginning", "end"):
        pretend(monkeypatch)
        before = torch.cuda.current_stream()

        @contextmanager
        def fails(graph: object, stream: Stream, capture_error_mode: str, at: str = fails_at) -> Iterator[None]:
            if at == "end":
                leave_current(stream)
                yield
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

        monkeypatch.setattr(torch.cuda, "graph", fails)
        check_plain(Work())
        assert torch.cuda.current_stream() is before


def test_a_graph_that_differs_from_the_work_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)

    class Alternating(Work):
        def __call__(self, images: Tensor) -> list[Tensor]:
            return [result + self.calls % 2 for result in super().__call__(images)]

    work, captured = Alternating(), Captured()
    with torch.inference_mode():
        for _ in range(3):
            captured(work, pictures(0))
    assert not captured.is_captured and work.calls == 3 + WARM_UP + 1

    class Rewriting(Work):  # its graph writes into other memory than it read its result from
        def __call__(self, images: Tensor) -> list[Tensor]:
            return [torch.from_numpy(result.numpy().copy()) for result in super().__call__(images)]

    check_plain(Rewriting())


@torch.inference_mode()
def check_plain(work: Work) -> None:
    captured = Captured()
    for seed in range(3):
        same(captured(work, pictures(seed)), work(pictures(seed)))
    assert not captured.is_captured
