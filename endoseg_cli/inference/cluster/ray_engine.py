"""Hand the tasks of a job out to a Ray cluster; the only user of ray."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import socket
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np

import endoseg_cli
from endoseg_cli.errors import DeviceError, EndosegError, MissingInputError, UsageError
from endoseg_cli.inference.cluster.ray_worker import Answer, do_task, sweep_node
from endoseg_cli.inference.cluster.video_task import Done, Order, VideoTask
from endoseg_cli.inference.predict.choice import PredictorChoice

GRACE_SECONDS = 10.0
"""How long tasks that are told to stop may take to clean up."""
ANSWER_SECONDS = 5.0
"""How long the head of a cluster may take to answer."""
_POLL_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Which cluster, and what a video takes of it."""

    address: str = "auto"
    """auto for the cluster that this machine belongs to, HOST:PORT of its head, or ray://HOST:10001."""
    retries: int = 3
    """How often a video is begun anew where its worker or machine dies."""
    cpus: float = 1
    """Cores for each video."""
    gpus: float | None = None
    """GPUs, or the share of one, for each video; None for one where there are any and the device is not the CPU."""


class RayCluster:
    """A connection to a Ray cluster; a context manager. Raises DeviceError where there is none."""

    def __init__(self, options: RayOptions) -> None:
        self._options = options
        self._ray = _import_ray()
        self._is_ours = False
        self._was_killed = False

    def __enter__(self) -> Self:
        if not self._ray.is_initialized():
            self._connect()
            self._is_ours = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_ours:
            self._ray.shutdown()

    def room(self, choice: PredictorChoice) -> int:
        """Return how many videos the machines can do at a time.

        Raises DeviceError where none could ever take one, for which Ray would wait without end.
        """
        cpus, gpus = self._options.cpus, self._gpus(choice)
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        room = sum(_fit(node.get("CPU", 0), cpus, node.get("GPU", 0), gpus) for node in nodes)
        if not room:
            there = "; ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in nodes)
            raise DeviceError(
                f"no node has the {cpus:g} CPUs and {gpus:g} GPUs that a video is to have: {there}",
                hint="ask for less with --cpus-per-video and --gpus-per-video",
            )
        return room

    def run(
        self, tasks: Sequence[VideoTask], order: Order, choice: PredictorChoice
    ) -> Generator[tuple[VideoTask, Done | EndosegError], None, None]:
        """Do all tasks and yield what became of each as it ends; see `Cluster`.

        A task whose worker or machine dies is begun anew. Where the job stops early, all tasks are cancelled.
        """
        ray = self._ray
        weights = ray.put(np.fromfile(choice.path, np.uint8))
        shared = ray.put(pickle.dumps((order, choice)))
        function = ray.remote(do_task).options(
            num_cpus=self._options.cpus,
            num_gpus=self._gpus(choice),
            max_retries=self._options.retries,
            retry_exceptions=False,
            scheduling_strategy="SPREAD",
        )
        pending: dict[Any, VideoTask] = {}
        try:
            for task in tasks:
                pending[function.remote(endoseg_cli.__version__, shared, pickle.dumps(task), weights)] = task
            while pending:
                for ref in ray.wait(list(pending), num_returns=1, timeout=_POLL_SECONDS)[0]:
                    task = pending.pop(ref)
                    yield task, self._result(ref, task)
        finally:
            self._cancel(list(pending))
            if self._was_killed:
                self._sweep()

    def _connect(self) -> None:
        address = self._options.address
        _check_reachable(os.environ.get("RAY_ADDRESS", address) if address == "auto" else address)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
        try:
            self._ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:
            raise _unreachable(address, next(iter(str(error).splitlines()), type(error).__name__)) from error
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _gpus(self, choice: PredictorChoice) -> float:
        if self._options.gpus is not None:
            return self._options.gpus
        has_some = self._ray.cluster_resources().get("GPU", 0) > 0
        return 1 if has_some and choice.device not in ("cpu", "mps") else 0

    def _result(self, ref: Any, task: VideoTask) -> Done | EndosegError:
        try:
            answer: Answer = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:  # endoseg's own errors are answers
            raise DeviceError(
                f"a node could not run a task: {_last_line(error)}",
                hint='pip install "endoseg-cli[ray]", of the same version, on every node',
            ) from error
        except self._ray.exceptions.RayError as error:
            return self._lost(task, error)
        content = pickle.loads(answer.content)
        if answer.kind == "fatal":
            path = task.targets.source.path
            if task.url is None and not path.exists():  # nobody sees it any more
                return MissingInputError(f"no such file: {task.name}", hint="it was removed while the job ran")
            raise content
        return content  # type: ignore[no-any-return]

    def _lost(self, task: VideoTask, error: Exception) -> EndosegError:
        """Say that a task's workers died, each time."""
        self._was_killed = True
        kind = type(error).__name__
        words = {
            "OutOfMemoryError": "its worker took more memory than its machine has",
            "WorkerCrashedError": "its worker was killed",
            "NodeDiedError": "its machine was lost",
        }
        reason = words.get(kind, f"{kind}: {_last_line(error)}")
        times = f" in each of {self._options.retries + 1} tries" if self._options.retries else ""
        return DeviceError(
            f"{task.name} was not done: {reason}{times}",
            hint="look at the memory of the machines; --cpus-per-video 2 or more runs fewer videos at a time",
        )

    def _cancel(self, refs: list[Any]) -> None:
        """Stop tasks, those that do not listen by killing their workers."""
        if not refs:
            return
        for force in (False, True):
            for ref in refs:
                with contextlib.suppress(Exception):  # it has ended meanwhile, or the cluster is gone
                    self._ray.cancel(ref, force=force)
            with contextlib.suppress(Exception):
                refs = self._ray.wait(refs, num_returns=len(refs), timeout=GRACE_SECONDS)[1]
            self._was_killed |= force
            if not refs:
                return

    def _sweep(self) -> None:
        """Remove what killed tasks left on each machine; on one that does not answer, its next task does."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        function = self._ray.remote(sweep_node)
        with contextlib.suppress(Exception):  # the job is over, whatever happens here
            refs = [
                function.options(
                    num_cpus=0,
                    max_retries=0,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
                ).remote()
                for node in self._ray.nodes()
                if node["Alive"]
            ]
            self._ray.wait(refs, num_returns=len(refs), timeout=GRACE_SECONDS)


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise UsageError(
            "--engine ray needs the package ray, which is not installed", hint='pip install "endoseg-cli[ray]"'
        ) from error
    return ray


def _check_reachable(address: str) -> None:
    """Raise DeviceError where nobody answers at HOST:PORT, for which Ray would wait for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise _unreachable(address, getattr(error, "strerror", None) or str(error)) from error


def _unreachable(address: str, reason: str) -> DeviceError:
    return DeviceError(
        f"no Ray cluster can be reached at {address}: {reason}",
        hint="start one: ray start --head, and on each further machine ray start --address=HEAD:6379",
    )


def _fit(cpus: float, cpus_each: float, gpus: float, gpus_each: float) -> int:
    """Return how many videos fit on a machine."""
    return int(cpus // cpus_each if not gpus_each else min(cpus // cpus_each, gpus // gpus_each))


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
