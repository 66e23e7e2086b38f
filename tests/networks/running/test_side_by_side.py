"""Networks in threads of their own say what they say one after the other, in the caller's precision."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from endoseg_cli.inference.predict.predictor import BATCH_OF_TWO_NETWORKS, Predictor
from endoseg_cli.networks.running.side_by_side import on_few_threads, threads_for
from tests.networks.tiny import calibrated_bundle


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_threads_share_out_those_of_torch_and_leave_the_callers_alone() -> None:
    pool = threads_for(2)
    meet = threading.Barrier(2)

    def count(_: int) -> int:
        meet.wait(10)  # so that each thread answers once
        return torch.get_num_threads()

    assert list(pool.map(count, range(2))) == [1, 1] and torch.get_num_threads() == 2
    found: list[int] = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [2], "a program's own threads are not held to a share"


@pytest.mark.usefixtures("two_threads")
def test_no_thread_is_left_over() -> None:
    torch.set_num_threads(3)
    pool, meet = threads_for(2), threading.Barrier(2)

    def count(_: int) -> int:
        meet.wait(10)
        return torch.get_num_threads()

    assert sorted(pool.map(count, range(2))) == [1, 2]


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_predictions_are_those_of_one_thread(precision: str) -> None:
    bundle = calibrated_bundle()
    frames = list(np.random.default_rng(0).integers(0, 256, (5, *bundle.card.input_size, 3), dtype=np.uint8))
    both = Predictor(bundle, device="cpu", precision=precision)  # type: ignore[arg-type]
    torch.set_num_threads(1)
    alone = Predictor(bundle, device="cpu", precision=precision)  # type: ignore[arg-type]
    assert both._torch.are_side_by_side and not alone._torch.are_side_by_side
    assert (
        both.batch_size
        == alone.batch_size
        == BATCH_OF_TWO_NETWORKS
        < Predictor(bundle, device="cpu", network="1").batch_size
    )
    for one, other in zip(both.predict_with_uncertainty(frames), alone.predict_with_uncertainty(frames), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6 if precision == "fp32" else 2e-2)
        assert one.std() > 0.01


@pytest.mark.usefixtures("two_threads")
def test_an_error_of_a_network_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = calibrated_bundle()
    predictor = Predictor(bundle, device="cpu", precision="fp32")

    def fail(_: torch.Tensor) -> torch.Tensor:
        raise ValueError("a layer failed")

    monkeypatch.setattr(predictor._torch.networks[1], "forward", fail)
    with pytest.raises(ValueError, match="a layer failed"):
        predictor.predict([np.zeros((*bundle.card.input_size, 3), np.uint8)])


@pytest.mark.usefixtures("two_threads")
def test_a_thread_held_to_few_leaves_all_others_alone() -> None:
    found: list[int] = []

    def note(number: int) -> None:
        found.append(number * torch.get_num_threads())

    held = on_few_threads(note)

    def twice() -> None:
        held(1)
        held(1)

    def look() -> None:
        found.append(torch.get_num_threads())

    for target in (twice, look, twice):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    assert found == [1, 1, 2, 1, 1] and torch.get_num_threads() == 2
