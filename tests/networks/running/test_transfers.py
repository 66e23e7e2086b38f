"""What is on its way is waited for, each by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from endoseg_cli.networks.running.transfers import DirectTransfers, StreamTransfers, Transfers, transfers_for
from tests.other_device import other_device
from tests.pretended_cuda import pretend

CPU = torch.device("cpu")


def frames(seed: int, count: int = 2) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 6, 3), np.uint8)


@pytest.fixture(params=[DirectTransfers, StreamTransfers])
def moving(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Transfers:
    pretend(monkeypatch)
    made: Transfers = request.param(CPU)
    return made


def test_frames_arrive_whole_and_channels_last(moving: Transfers) -> None:
    for seed in range(3):
        there = moving.upload(frames(seed))
        assert there.shape == (2, 3, 8, 6) and there.is_contiguous(memory_format=torch.channels_last)
        assert np.array_equal(there.permute(0, 2, 3, 1).numpy(), frames(seed))


def test_maps_that_leave_at_the_same_time_come_each_to_its_place(moving: Transfers) -> None:
    sent = [torch.rand(2, 1, 4, 4) for _ in range(3)]
    arriving = [moving.download(maps) for maps in sent]
    for index in (0, 2, 1):
        assert torch.equal(arriving[index](), sent[index])


def test_pretended_memory_is_garbage_until_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    monkeypatch.setattr("tests.pretended_cuda.Event.synchronize", lambda event: None)
    found = StreamTransfers(CPU).download(torch.zeros(2, 2))()
    assert (found > 1e38).all()


def test_a_gpu_has_streams_and_other_devices_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    assert isinstance(transfers_for(torch.device("cuda", 1)), StreamTransfers)
    assert isinstance(transfers_for(torch.device("mps")), DirectTransfers)
    assert isinstance(transfers_for(CPU), DirectTransfers)


def test_another_device_gets_and_gives_whole_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    with other_device(monkeypatch) as device:
        there = DirectTransfers(device).upload(frames(1))
        assert there.device == device
        back = DirectTransfers(device).download(there)()
    assert np.array_equal(back.permute(0, 2, 3, 1).numpy(), frames(1))
