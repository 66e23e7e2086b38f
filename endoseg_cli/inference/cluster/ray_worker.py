"""What Ray runs on the machines of a cluster: one task, from bytes to bytes.

Imports nothing heavy: a worker learns how its threads are to wait, and of which version the job is, before the rest.
"""

from __future__ import annotations

import os
import pickle
import platform
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import endoseg_cli
from endoseg_cli.errors import DeviceError, EndosegError, OutputError, explain
from endoseg_cli.process import prepare_process

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from endoseg_cli.inference.predict.choice import PredictorChoice
    from endoseg_cli.inference.predict.predictor import Predictor

_LOADED: dict[str, Predictor] = {}
"""The model that this process has loaded, by the name of its job."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a task."""

    kind: Literal["done", "failed", "fatal"]
    """fatal: the machine can do no task of this job, so that the whole job stops."""
    content: bytes
    """A `Done`, or an error, pickled."""


def do_task(version: str, shared: bytes, payload: bytes, weights: NDArray[np.uint8]) -> Answer:
    """Do a task of a job: `shared` is its order and its choice of a model, whose file is `weights`."""
    prepare_process()
    if version != endoseg_cli.__version__:
        message = f"{_here()} has endoseg {endoseg_cli.__version__}, the job has {version}"
        return _answer("fatal", DeviceError(message, hint="install the same version on every node"))
    from endoseg_cli.inference.cluster.video_task import NotSharedError, perform

    order, choice = pickle.loads(shared)

    def load() -> Predictor:
        try:
            return _loaded(order.job, choice, weights)
        except Exception as error:
            raise _LoadError(explain(error)) from error

    try:
        return _answer("done", perform(pickle.loads(payload), order, load))
    except _LoadError as error:
        return _answer("fatal", _named(error.reason))
    except NotSharedError as error:
        return _answer("fatal", _named(error))
    except Exception as error:
        if os.environ.get("ENDOSEG_DEBUG"):
            raise
        return _answer("failed", explain(error))


def sweep_node() -> None:
    """Remove what tasks that were killed left on this machine."""
    from endoseg_cli.inference.cluster.private_folder import sweep

    sweep()


class _LoadError(Exception):
    def __init__(self, reason: EndosegError) -> None:
        super().__init__(reason.message)
        self.reason = reason


def _loaded(job: str, choice: PredictorChoice, weights: NDArray[np.uint8]) -> Predictor:
    """Return the model, loaded once a process from a file that is there only while it is read."""
    if job not in _LOADED:
        _LOADED.clear()
        with tempfile.TemporaryDirectory(prefix="endoseg-model-") as folder:
            path = Path(folder) / choice.path.name
            try:
                weights.tofile(path)
            except OSError as error:
                raise OutputError(f"cannot write the model to {folder}: {error.strerror}", hint="set TMPDIR") from error
            _LOADED[job] = replace(choice, path=path).load()
    return _LOADED[job]


def _answer(kind: Literal["done", "failed", "fatal"], content: Any) -> Answer:
    return Answer(kind=kind, content=pickle.dumps(content))


def _named(error: EndosegError) -> EndosegError:
    return type(error)(f"{_here()}: {error.message}", hint=error.hint, details=error.details)


def _here() -> str:
    return f"the node {platform.node()}"
