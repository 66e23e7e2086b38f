"""A process that segments what its parent hands it; it ends when it is told to, and when its parent is gone.

What it imports at the top is light: it must mind signals before torch is imported, which takes seconds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from endoseg_cli.errors import TERMINATED_EXIT_CODE, EndosegError

if TYPE_CHECKING:
    from endoseg_cli.inference.many.units import Unit
    from endoseg_cli.inference.many.work import Plan
    from endoseg_cli.inference.predict.choice import ModelFacts, PredictorChoice

GRACE_SECONDS = 8.0
"""How long a process that is told to end may take to close its files."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """Load the model; where `as_by` is given, in the precision and with the batches that another process chose."""

    choice: PredictorChoice
    as_by: ModelFacts | None


@dataclass(frozen=True, kw_only=True)
class Do:
    """Segment a unit."""

    unit: Unit
    plan: Plan


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The libraries are imported."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The model is loaded."""

    facts: ModelFacts


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The model cannot be loaded, or what the device or a bug raised stops the whole job."""

    error: EndosegError


def run_worker(connection: Connection[Any, Any], spool: Path, processes: int) -> None:
    """Do what comes through the connection until it is closed; `processes` share the machine."""
    _mind_signals()
    threading.Thread(target=_end_with_parent, args=(spool,), name="endoseg-parent", daemon=True).start()
    # A parent that is gone is no error of this process.
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _serve(connection, processes)


def _mind_signals() -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


def _end_with_parent(spool: Path) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is started by multiprocessing"
    parent.join()
    shutil.rmtree(spool, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(TERMINATED_EXIT_CODE)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED_EXIT_CODE)


def _serve(connection: Connection[Any, Any], processes: int) -> None:
    import cv2
    import torch

    from endoseg_cli.inference.many.work import do_unit, explained

    threads = max(torch.get_num_threads() // processes, 1)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    connection.send(Ready())
    load: Load = connection.recv()
    try:
        if load.as_by is None:
            predictor = load.choice.load()
        else:
            predictor = replace(load.choice, batch_size=load.as_by.batch_size).load()
            predictor.compute_as(load.as_by.half_precision)
    except Exception as error:
        connection.send(Refused(error=explained(error)))
        return
    signal.signal(signal.SIGTERM, _terminate)  # from here on there are files to close
    from endoseg_cli.inference.predict.choice import ModelFacts

    connection.send(Loaded(facts=ModelFacts.of(predictor)))
    while True:
        task: Do = connection.recv()
        try:
            ended = do_unit(task.unit, predictor, task.plan, connection.send)
        except Exception as error:
            connection.send(Refused(error=explained(error)))
        else:
            connection.send(ended)
