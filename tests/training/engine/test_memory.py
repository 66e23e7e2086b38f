from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Client, Listener

import pytest

from endoseg_cli.errors import TrainingError
from endoseg_cli.training.engine.memory import readers_deaths_named


def test_torchs_word_on_a_dead_reader_is_named() -> None:
    with pytest.raises(TrainingError, match="a process that reads frames was killed"), readers_deaths_named():
        raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")


def test_a_batch_on_its_way_from_a_dead_reader_is_named() -> None:
    near, far = multiprocessing.Pipe()
    far.close()
    with pytest.raises(TrainingError, match="a process that reads frames was killed"), readers_deaths_named():
        near.recv()


def test_a_handed_over_file_whose_owner_is_gone_is_named() -> None:
    with Listener() as listener:
        address = listener.address
    with pytest.raises(TrainingError, match="a process that reads frames was killed"), readers_deaths_named():
        Client(address)


def test_no_room_for_another_process_or_open_file_stays_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("multiprocessing.connection.socket.socketpair", refuse)
    with pytest.raises(OSError, match="Too many open files") as raised, readers_deaths_named():
        multiprocessing.Pipe()
    assert any(entry.name == "Pipe" for entry in raised.traceback)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Caught RuntimeError in DataLoader worker process 0."),
        FileNotFoundError("Caught FileNotFoundError in DataLoader worker process 1."),
        RuntimeError("size mismatch"),
        FileNotFoundError(2, "No such file", "metrics.csv"),
        ConnectionResetError(104, "Connection reset by peer"),
    ],
    ids=str,
)
def test_other_errors_stay_themselves(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, readers_deaths_named():
        raise error
    assert raised.value is error
