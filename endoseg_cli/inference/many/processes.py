"""The processes of one machine: started, handed work, replaced where they are killed, told to end."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from endoseg_cli.errors import DeviceError
from endoseg_cli.inference.many.messages import Ended, Message
from endoseg_cli.inference.many.units import Unit
from endoseg_cli.inference.many.work import Plan
from endoseg_cli.inference.many.worker import GRACE_SECONDS, Do, Load, Loaded, Ready, Refused, run_worker
from endoseg_cli.inference.predict.choice import ModelFacts, PredictorChoice

FEWER = "use fewer --jobs"


class _Worker:
    def __init__(self, spool: Path, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection: Connection[Any, Any]
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=run_worker, args=(theirs, spool, processes), name="endoseg-segment", daemon=True
        )
        with _no_ctrl_c():
            self.process.start()
        theirs.close()  # so that its end is seen as the end of the connection
        self.is_ready = False
        self.is_loaded = False
        self.unit: Unit | None = None

    def end_of_it(self) -> str:
        """Say how it ended."""
        self.process.join(GRACE_SECONDS)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"ended unexpectedly (status {code})"
        with contextlib.suppress(ValueError):
            return f"was killed ({signal.Signals(-code).name})"
        return f"was killed (signal {-code})"


@contextlib.contextmanager
def _no_ctrl_c() -> Iterator[None]:
    """Hold Ctrl-C back while a process is started, which would end it with a traceback before it minds signals."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # it lets signals through again when it is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Processes:
    """Several processes that segment; a context manager that ends them.

    Each loads the model once and does whole units. One that is killed costs its video, or the current picture, and is
    replaced.
    """

    def __init__(self, choice: PredictorChoice, count: int, spool: Path) -> None:
        self._choice, self._count, self._spool = choice, count, spool
        self._workers: list[_Worker] = []
        self._facts: ModelFacts | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def load(self) -> ModelFacts:
        """Start all processes, and return what the first one says of the model; raises what it raises."""
        for _ in range(self._count):
            self._start()
        while self._facts is None:
            for worker in self._waited_for():
                self._hear(worker)
        return self._facts

    def do(self, units: Sequence[Unit], plan: Plan) -> Iterator[Message]:
        """Do all units, in this order, and yield what is told of them; each ends once.

        Raises what stops the whole job.
        """
        queue = deque(units)
        while queue or any(worker.unit for worker in self._workers):
            for worker in self._workers:
                if queue and worker.is_loaded and worker.unit is None:
                    worker.unit = queue.popleft()
                    self._send(worker, Do(unit=worker.unit, plan=plan))
            for worker in self._waited_for():
                lost = worker.unit
                message, is_gone = self._hear(worker)
                if is_gone:
                    if lost is not None and len(lost.targets) > 1:
                        queue.extend(lost.singly())
                    elif lost is not None:
                        yield _killed(lost, worker.end_of_it())
                    if queue:
                        self._replace(worker)
                elif message is not None:
                    yield message

    def _start(self) -> None:
        self._workers.append(_Worker(self._spool, self._count))

    def _replace(self, worker: _Worker) -> None:
        """Start a process in place of one that is gone; one that was killed before it did anything is not replaced."""
        if worker.is_loaded:
            self._start()
        elif not self._workers:
            raise DeviceError(f"a process {worker.end_of_it()} while it loaded the model", hint=FEWER)

    def _waited_for(self) -> list[_Worker]:
        """Wait until something was told; return by whom."""
        by_connection = {worker.connection: worker for worker in self._workers}
        return [by_connection[connection] for connection in wait(list(by_connection))]  # type: ignore[index]

    def _hear(self, worker: _Worker) -> tuple[Message | None, bool]:
        """Return what a worker tells of its unit, and whether it is gone."""
        try:
            told = worker.connection.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            worker.connection.close()
            if self._facts is None:
                raise DeviceError(f"a process {worker.end_of_it()} while it loaded the model", hint=FEWER) from None
            return None, True
        match told:
            case Ready():
                worker.is_ready = True
                if self._facts is not None or not any(other.is_ready for other in self._workers if other is not worker):
                    self._send(worker, Load(choice=self._choice, as_by=self._facts))
            case Loaded():
                worker.is_loaded = True
                if self._facts is None:
                    self._facts = told.facts
                    for other in self._workers:
                        if other.is_ready and other is not worker:
                            self._send(other, Load(choice=self._choice, as_by=self._facts))
            case Refused():
                raise told.error
            case Ended():
                worker.unit = None
                return told, False
            case _:
                message: Message = told
                return message, False
        return None, False

    def _send(self, worker: _Worker, order: Load | Do) -> None:
        with contextlib.suppress(OSError):  # it is gone, which is heard of next
            worker.connection.send(order)

    def _stop(self) -> None:
        """Tell all processes to end, and kill those that do not."""
        workers, self._workers = self._workers, []
        try:
            for worker in workers:
                worker.process.terminate()
                worker.connection.close()
            end = time.monotonic() + GRACE_SECONDS
            for worker in workers:
                worker.process.join(max(end - time.monotonic(), 0))
        finally:  # also where Ctrl-C is pressed again
            for worker in workers:
                worker.process.kill()
            for worker in workers:
                worker.process.join()


def _killed(unit: Unit, how: str) -> Ended:
    path = unit.targets[0].source.path
    message = f"the process that segmented {path} {how}; perhaps by the system, for lack of memory"
    return Ended(unit=unit, failures=((unit.first, DeviceError(message, hint=FEWER)),), has_rows=False)
