"""What happens to the work of processes that are killed, with threads in their place."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

import pytest

from endoseg_cli.errors import DeviceError, InputError, WeightsError
from endoseg_cli.inference.many import processes as module
from endoseg_cli.inference.many.messages import Ended
from endoseg_cli.inference.many.processes import Processes
from endoseg_cli.inference.many.units import Unit
from endoseg_cli.inference.many.work import Plan
from endoseg_cli.inference.many.worker import Do, Load, Loaded, Ready, Refused
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.inference.predict.choice import ModelFacts, PredictorChoice
from tests.inference.brightness import STYLE
from tests.inference.many.units import ended, names_of, unit

PLAN = Plan(style=STYLE, config=SegmentConfig(), spool=Path(), wants_records=False, wants_annotations=False)
FACTS = ModelFacts(
    name="m",
    class_names=("lesion",),
    has_corrective=False,
    device="cpu",
    runtime="torch",
    half_precision="bf16",
    batch_size=4,
)


class Killed(Exception):
    """Ends a worker as SIGKILL does."""


class Process:
    """What is asked of a process that has ended."""

    exitcode = -signal.SIGKILL

    def join(self, timeout: float | None = None) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class Worker(module._Worker):
    """A thread that does units as the test says; those that it must not do kill it."""

    bad: ClassVar[set[str]] = set()
    loads: ClassVar[list[Load]] = []
    refuses: ClassVar[Exception | None] = None
    lives = 99
    """How many may be started before one is killed while it loads."""

    def __init__(self, spool: Path, processes: int) -> None:
        self.connection, theirs = Pipe()
        self.process: Any = Process()
        self.is_ready = self.is_loaded = False
        self.unit = None
        Worker.lives -= 1
        threading.Thread(target=self._serve, args=(theirs, Worker.lives >= 0), daemon=True).start()

    def _serve(self, connection: Connection[Any, Any], lives: bool) -> None:
        try:
            connection.send(Ready())
            load = connection.recv()
            self.loads.append(load)
            if not lives:
                raise Killed
            connection.send(Loaded(facts=FACTS) if self.refuses is None else Refused(error=self.refuses))  # type: ignore[arg-type]
            while True:
                self._do(connection, connection.recv())
        except (Killed, EOFError, OSError):
            connection.close()

    def _do(self, connection: Connection[Any, Any], task: Do) -> None:
        names = {one.source.path.name for one in task.unit.targets}
        if names & self.bad:
            raise Killed
        connection.send(Refused(error=DeviceError("no memory")) if "stop.mp4" in names else ended(task.unit))


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_Worker", Worker)
    Worker.bad, Worker.loads, Worker.refuses, Worker.lives = set(), [], None, 99
    yield


def run(units: Sequence[Unit], count: int = 2) -> list[Ended]:
    with Processes(PredictorChoice(path=Path("m")), count, Path()) as engine:
        assert engine.load() == FACTS
        messages = list(engine.do(units, PLAN))
    return [message for message in messages if isinstance(message, Ended)]


def test_the_first_to_load_says_how_the_others_compute() -> None:
    found = run([unit(number, f"{number}.mp4") for number in range(6)], count=3)
    assert sorted(one.unit.first for one in found) == list(range(6))
    assert [load.as_by for load in Worker.loads] == [None, FACTS, FACTS]


def test_a_killed_process_costs_its_video_and_is_replaced() -> None:
    Worker.bad = {"b.mp4", "c.mp4"}
    found = run([unit(place, f"{name}.mp4") for place, name in enumerate("abcd")])
    assert sorted(one.unit.first for one in found) == [0, 1, 2, 3] and len(Worker.loads) >= 3
    failures = {place: error for one in found for place, error in one.failures}
    assert set(failures) == {1, 2} and isinstance(failures[1], DeviceError)
    assert "b.mp4 was killed (SIGKILL); perhaps by the system" in failures[1].message
    assert all(one.has_rows != bool(one.failures) for one in found)


def test_pictures_of_a_killed_process_are_done_again_one_by_one() -> None:
    Worker.bad = {"b.png"}
    found = run([unit(0, "a.png", "b.png", "c.png"), unit(3, "d.mp4")])
    assert sorted(name for some in names_of([one.unit for one in found]) for name in some) == [
        "a.png",
        "b.png",
        "c.png",
        "d.mp4",
    ]
    assert [one.unit.first for one in found if one.failures] == [1]


def test_processes_that_are_killed_while_they_load_end_the_job() -> None:
    Worker.lives = 0
    with pytest.raises(DeviceError, match=r"was killed \(SIGKILL\) while it loaded the model"):
        run([unit(0, "a.mp4"), unit(1, "b.mp4")])
    Worker.lives, Worker.bad = 2, {"a.mp4", "b.mp4"}
    with pytest.raises(DeviceError, match="while it loaded the model"):
        run([unit(place, f"{name}.mp4") for place, name in enumerate("abcd")])


def test_what_refuses_the_model_and_what_stops_the_job_is_raised() -> None:
    with pytest.raises(DeviceError, match="no memory"):
        run([unit(0, "a.mp4"), unit(1, "stop.mp4")])
    Worker.refuses = WeightsError("no model")
    with pytest.raises(WeightsError, match="no model"):
        run([unit(0, "a.mp4")])


def test_errors_come_whole_from_another_process() -> None:
    ours, theirs = Pipe()
    ours.send(InputError("broken", hint="mend it", details=("here", "there")))
    error = theirs.recv()
    assert isinstance(error, InputError) and str(error) == "broken\n  here\n  there\n\nhint: mend it"
