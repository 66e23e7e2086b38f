from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from endoseg_cli.inference.many import how_many, machine
from endoseg_cli.inference.many.how_many import processes_for
from endoseg_cli.inference.predict.choice import PredictorChoice
from tests.inference.brightness import targets_for
from tests.inference.many.units import inputs
from tests.video.rendering import Clip

GIGABYTE = 1 << 30


@pytest.fixture
def choice(tmp_path: Path) -> PredictorChoice:
    (tmp_path / "m").touch()
    return PredictorChoice(path=tmp_path / "m", device="cpu")


def have(monkeypatch: pytest.MonkeyPatch, *, cores: int, memory: int | None, threads: int = 99) -> None:
    monkeypatch.setattr(how_many, "usable_cores", lambda: cores)
    monkeypatch.setattr(how_many, "available_memory", lambda: memory)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)


def test_auto_is_as_many_as_cores_threads_memory_and_inputs_allow(
    choice: PredictorChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = inputs(*(f"{number}.mp4" for number in range(20)))
    have(monkeypatch, cores=8, memory=99 * GIGABYTE)
    assert processes_for(None, videos, choice) == (8, None)
    assert processes_for(None, videos[:3], choice) == (3, None)
    have(monkeypatch, cores=8, memory=99 * GIGABYTE, threads=2)
    assert processes_for(None, videos, choice) == (2, None)
    have(monkeypatch, cores=8, memory=2 * GIGABYTE)
    assert processes_for(None, videos, choice) == (2 * GIGABYTE // how_many.BYTES_A_PROCESS, None)
    have(monkeypatch, cores=8, memory=1)
    assert processes_for(None, videos, choice) == (1, None)
    have(monkeypatch, cores=8, memory=None)
    assert processes_for(None, videos, choice) == (8, None)


def test_a_number_is_taken_but_for_what_there_is_to_do(
    choice: PredictorChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = inputs("a.mp4", "b.mp4", "c.mp4", "d.png")
    have(monkeypatch, cores=1, memory=GIGABYTE)
    assert processes_for(1, videos, choice) == (1, None)
    assert processes_for(9, videos[:1], choice) == (1, None)
    assert processes_for(2, videos, choice) == (2, None)
    count, note = processes_for(9, videos, choice)
    assert count == 4 and note == "--jobs 9 may take 1.9 GB of memory, 1.1 GB are free: --jobs 2 would fit"


def test_this_machine_has_cores_and_memory() -> None:
    assert machine.usable_cores() >= 1
    memory = machine.available_memory()
    assert memory is None or memory > 1 << 20


def test_a_container_has_what_its_limits_leave(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "_machine_memory", lambda: 8 * GIGABYTE)
    assert machine.available_memory() == 8 * GIGABYTE
    for name, text in (
        ("cpu.max", "100000 100000"),
        ("memory.max", str(2 * GIGABYTE)),
        ("memory.current", str(3 * GIGABYTE // 2)),
        ("memory.stat", f"anon 1\ninactive_file {GIGABYTE // 4}\n"),
    ):
        (tmp_path / name).write_text(text)
    assert machine.usable_cores() == 1 and machine.available_memory() == 3 * GIGABYTE // 4
    (tmp_path / "memory.max").write_text("max")
    assert machine.available_memory() == 8 * GIGABYTE


def test_larger_frames_and_models_take_more_memory(
    choice: PredictorChoice, render: Callable[[Clip], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = (targets_for(render(Clip(name=f"{side}.mp4", size=(side, side)))) for side in (64, 1024))
    have(monkeypatch, cores=2, memory=GIGABYTE)
    taken = [how_many._bytes_a_process(some, choice) for some in ([small], [small, large], [*inputs("a.png")])]
    assert taken[0] < taken[1] - (100 << 20) and taken[2] < taken[0]
    choice.path.write_bytes(bytes(1 << 20))
    assert how_many._bytes_a_process([large], choice) == taken[1] + (4 << 20)
