"""The frames of a run as its steps take them: batches by step, plain frames for statistics, names for errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from endoseg_cli.data.views.datasets import LabeledBatches, TrainingBatch, TrainingBatches, UnlabeledBatches
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.training.engine.prefetch import prefetched
from endoseg_cli.training.engine.schedule import Schedule
from endoseg_cli.training.engine.settling import plain_batches
from endoseg_cli.training.settings.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The frames of a run."""

    labeled: FrameStore
    """Frames with masks to learn from."""
    validation: FrameStore
    """Frames with masks on which each network's best weights are chosen."""
    unlabeled: FrameStore | None = None
    """Frames without masks; without them the run is supervised."""

    @property
    def unlabeled_count(self) -> int:
        """Number of unlabelled frames."""
        return 0 if self.unlabeled is None else len(self.unlabeled)


class Feed:
    """Gives a run its batches, which follow from seed and step, and from the schedule, which may change on the way."""

    def __init__(
        self,
        config: TrainConfig,
        data: TrainingData,
        schedule: Schedule,
        *,
        share: tuple[int, int],
        device: torch.device,
        normalise: Callable[[Tensor], Tensor],
    ) -> None:
        """`share` = (rank, ranks) is the part of each batch that this process works on."""
        self._config, self._data, self._share = config, data, share
        self._device, self._normalise = device, normalise
        self.follow(schedule)

    def follow(self, schedule: Schedule) -> None:
        """Give batches as a schedule has them: with unlabelled frames from the end of its warm-up on."""
        config = self._config
        self._total_steps = schedule.total_steps
        labeled = LabeledBatches(
            self._data.labeled,
            size=config.size,
            batch_size=config.batch_size,
            seed=config.seed,
            augment=config.augment,
            share=self._share,
            empty_share=config.empty_share,
        )
        unlabeled = None
        if self._data.unlabeled is not None and schedule.unlabeled:
            unlabeled = UnlabeledBatches(
                self._data.unlabeled,
                size=config.size,
                batch_size=config.frames_unlabeled,
                seed=config.seed,
                augment=config.augment,
                share=self._share,
            )
        self.batches = TrainingBatches(
            labeled, unlabeled, unlabeled_from=0 if unlabeled is None else schedule.warm_up_steps
        )

    def since(self, step: int) -> Iterator[TrainingBatch]:
        """Return the batches from a step on."""
        workers = self._config.workers
        batches = iter(
            DataLoader(
                self.batches,
                batch_size=None,
                sampler=range(step, self._total_steps),
                num_workers=workers,
                pin_memory=self._device.type == "cuda",
                worker_init_fn=_use_one_thread if workers else None,
            )
        )
        if workers:
            return _read(batches)
        # on a CPU the networks need the cores that reading ahead would take
        return batches if self._device.type == "cpu" else prefetched(batches)

    def plain(self, count: int) -> Iterator[Tensor]:
        """Yield `count` frames, evenly spread over all that the run learns from, as the networks take them."""
        learned = [self._data.labeled]
        taken = self.batches.unlabeled is not None or self._config.settle_over == "all"
        if self._data.unlabeled is not None and taken:
            learned.append(self._data.unlabeled)
        return plain_batches(learned, count, self._config.size, self._normalise)

    def files(self, step: int) -> str:
        """Name the files that the batch of a step holds."""
        frames = [self._data.labeled.path(index) for _, index in self.batches.labeled.keys(step)]
        if self.batches.unlabeled is not None and self._data.unlabeled is not None:
            frames += [self._data.unlabeled.path(index) for _, index in self.batches.unlabeled.keys(step)]
        return ", ".join(map(str, dict.fromkeys(frames)))


def _read(batches: Iterator[TrainingBatch]) -> Iterator[TrainingBatch]:
    """Yield what processes read, and end them where the run fails.

    Torch would end them when it forgets them, and a second one that was killed would then be told as a traceback that
    nobody can catch.
    """
    try:
        yield from batches
    except BaseException:
        with suppress(RuntimeError):
            batches._shutdown_workers()  # type: ignore[attr-defined]
        raise


def _use_one_thread(_: int) -> None:
    cv2.setNumThreads(1)
