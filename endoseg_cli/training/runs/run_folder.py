"""What a run leaves in its folder besides checkpoints: metrics.csv, curves.png, sample.png, TensorBoard's events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from endoseg_cli.data.sets.sources import SPLIT_OF_A_RUN
from endoseg_cli.errors import OutputError
from endoseg_cli.locks import lock
from endoseg_cli.networks.files.models import MODEL_OF_A_RUN
from endoseg_cli.training.engine.records import RunListener, ValidationRecord
from endoseg_cli.training.engine.trainer import Trainer
from endoseg_cli.training.runs.curves import write_curves
from endoseg_cli.training.runs.log import MetricsLog
from endoseg_cli.training.runs.sample import write_sample
from endoseg_cli.training.runs.tensorboard import open_events, write_events
from endoseg_cli.training.shared.distributed import Ranks

CONFIG_FILE = "config.yaml"
SPLIT_FILE = SPLIT_OF_A_RUN
MODEL_FILE = MODEL_OF_A_RUN
METRICS_FILE = "metrics.csv"
CURVES_FILE = "curves.png"
SAMPLE_FILE = "sample.png"
LOCK_FILE = ".lock"
CURVES_SECONDS = 30.0
"""The curves are drawn anew this often at most, and at the end: drawing takes about a second."""


@contextmanager
def new_folder(folder: Path, ranks: Ranks) -> Iterator[None]:
    """Make the run folder and hold its lock; one that is still empty when the block fails is removed.

    Raises OutputError if it is taken or cannot be made.
    """
    prepare_folder(folder, ranks)
    try:
        with held(folder, ranks):
            yield
    except BaseException:
        if ranks.leads:
            with suppress(OSError):
                folder.rmdir()  # only an empty one goes
        raise


def held(folder: Path, ranks: Ranks) -> AbstractContextManager[None]:
    """Hold the lock of a run folder, so that no two runs write into it; raises OutputError if another run does."""
    return lock(folder / LOCK_FILE, f"the run {folder}") if ranks.leads else nullcontext()


def prepare_folder(folder: Path, ranks: Ranks) -> None:
    """Make the run folder; raises OutputError if it is taken or cannot be made."""
    taken = folder.exists() and (not folder.is_dir() or any(path.name != LOCK_FILE for path in folder.iterdir()))
    ranks.wait()
    if taken:
        raise OutputError(f"the run folder is not empty: {folder}", hint=f"choose another --out, or --resume {folder}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the run folder {folder}: {error.strerror}") from error


class RunFolder:
    """Writes each validation of a run, and passes on to `listener` what happens."""

    def __init__(self, folder: Path, trainer: Trainer, listener: RunListener, *, tensorboard: bool = False) -> None:
        self._folder, self._trainer, self._passed_on = folder, trainer, listener
        self._log = MetricsLog(folder / METRICS_FILE, keep_until=trainer.step)
        self._events: Any = open_events(folder) if tensorboard else None
        self._drawn = 0.0
        self.listener = RunListener(
            on_warning=listener.on_warning, on_step=listener.on_step, on_validation=self._validated
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._events is not None:
            self._events.close()
        if error is None and self._log.rows:
            write_curves(self._folder / CURVES_FILE, self._log.rows)

    def _validated(self, record: ValidationRecord) -> None:
        self._log.write(record)
        if self._events is not None:
            write_events(self._events, self._log.rows[-1])
        trainer = self._trainer
        write_sample(
            self._folder / SAMPLE_FILE,
            trainer.scored,
            trainer.data.validation,
            trainer.config.size,
            trainer.learner.normalise,
        )
        if time.monotonic() - self._drawn > CURVES_SECONDS:
            write_curves(self._folder / CURVES_FILE, self._log.rows)
            self._drawn = time.monotonic()
        self._passed_on.on_validation(record)
