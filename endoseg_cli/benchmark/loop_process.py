"""The plain loop in a process of its own, as its author would run it, without what endoseg asks of a process.

Run as a module it reads one JSON object a line, a `LoopJob` first and then how many frames to do, and answers each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import torch

import endoseg_cli
from endoseg_cli import errors
from endoseg_cli.benchmark.memory import MemoryWatch, Peak
from endoseg_cli.benchmark.plain_loop import plain_loop
from endoseg_cli.errors import DeviceError, EndosegError, explain
from endoseg_cli.inference.predict.predictor import NetworkChoice, choose_networks
from endoseg_cli.networks.files.bundle import load_bundle
from endoseg_cli.process import environment_before


@dataclass(frozen=True, kw_only=True)
class LoopJob:
    """What the loop does; plain values, as they go to another process."""

    model: str
    """File of the model."""
    network: NetworkChoice
    """1, 2 or both."""
    video: str
    """File of the video."""
    out: str
    """Folder for what it writes."""
    device: str
    """Where the networks run."""
    threads: int
    """Of torch, on a CPU."""
    threshold: float
    """Probability from which a pixel is lesion."""


class LoopProcess:
    """A process that does the first frames of a video as often as it is asked to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, frames: int) -> tuple[int, Peak]:
        """Do so many frames; return how many there were, and the memory of that process.

        Raises what went wrong in the process, DeviceError where it has ended.
        """
        answer = self._ask({"frames": frames})
        return answer["frames"], Peak(**answer["peak"])

    def begin(self, job: LoopJob) -> None:
        """Load the networks."""
        self._ask(asdict(job))

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        writing, reading = self._process.stdin, self._process.stdout
        assert writing is not None and reading is not None
        line = ""
        try:
            _say(writing, question)
            line = reading.readline()
        except BrokenPipeError:
            pass
        if not line:
            raise DeviceError(
                f"the process of the plain loop ended with {self._process.wait()}", hint="was it out of memory?"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            kind: type[EndosegError] = getattr(errors, answer["kind"])
            raise kind(f"the plain loop failed: {answer['error']}", hint=answer["hint"])
        return answer


@contextmanager
def loop_process(job: LoopJob) -> Iterator[LoopProcess]:
    """Start a process for the job, and end it with the block."""
    # -P: no module of the folder one happens to be in; a session of its own: Ctrl-C is for this process, which ends it
    command = [sys.executable, "-P", "-m", __name__]
    environment = environment_before()
    here = str(Path(endoseg_cli.__file__).parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (here, environment.get("PYTHONPATH"))))
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        loop = LoopProcess(process)
        try:
            loop.begin(job)
            yield loop
        finally:
            process.kill()
            with suppress(BrokenPipeError):
                process.stdin.close()


def _say(stream: IO[str], values: dict[str, Any]) -> None:
    stream.write(json.dumps(values) + "\n")
    stream.flush()


def _answer(questions: IO[str], answers: IO[str]) -> None:
    try:
        _serve(questions, answers)
    except Exception as error:  # the other process says it
        told = explain(error)
        _say(answers, {"error": told.message, "hint": told.hint, "kind": type(told).__name__})


def _serve(questions: IO[str], answers: IO[str]) -> None:
    job = LoopJob(**json.loads(questions.readline()))
    bundle, device = load_bundle(Path(job.model)), torch.device(job.device)
    torch.set_num_threads(job.threads)
    networks = [network.to(device) for network in choose_networks(bundle, job.network)]
    _say(answers, {})
    for line in questions:
        watch = MemoryWatch(device)
        done = plain_loop(
            Path(job.video),
            networks,
            Path(job.out),
            input_size=bundle.card.input_size,
            mean=bundle.card.mean,
            std=bundle.card.std,
            device=job.device,
            threshold=job.threshold,
            frames=json.loads(line)["frames"],
        )
        _say(answers, {"frames": done, "peak": asdict(watch.peak())})


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):  # answers alone go to stdout
        _answer(sys.stdin, sys.__stdout__ or sys.stdout)
