"""A cluster that is this process: tasks one after the other, by a predictor whose answer is known beforehand."""

from __future__ import annotations

import pickle
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from endoseg_cli.errors import EndosegError, explain
from endoseg_cli.inference.cluster.job import ClusterResult, segment_on_cluster
from endoseg_cli.inference.cluster.video_task import Done, Order, VideoTask, perform
from endoseg_cli.inference.many.run import SegmentJob
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.inference.predict.choice import PredictorChoice
from endoseg_cli.inference.write.output_paths import OutputConfig
from endoseg_cli.inference.write.overlay import OverlayConfig
from tests.inference.brightness import BrightnessPredictor, decode
from tests.inference.test_job import Listener


class InProcess:
    """Does tasks, each sent there and back as bytes, in the reverse of their order."""

    def __init__(self) -> None:
        self.loads = 0
        """How often a task needed the model."""

    def room(self, choice: PredictorChoice) -> int:
        return 1

    def run(
        self, tasks: Sequence[VideoTask], order: Order, choice: PredictorChoice
    ) -> Generator[tuple[VideoTask, Done | EndosegError], None, None]:
        order = pickle.loads(pickle.dumps(order))
        for task in reversed(tasks):
            there: VideoTask = pickle.loads(pickle.dumps(task))
            try:
                done: Done | EndosegError = perform(there, order, self._load)
            except Exception as error:
                done = explain(error)
            yield task, pickle.loads(pickle.dumps(done))

    def _load(self) -> BrightnessPredictor:
        self.loads += 1
        return BrightnessPredictor()


def run(
    inputs: Sequence[object],
    model: Path,
    *,
    cluster: InProcess | None = None,
    listener: Listener | None = None,
    config: SegmentConfig | None = None,
    processes: int = 1,
    **outputs: Any,
) -> ClusterResult:
    """Segment on a cluster that is this process."""
    overwrite = outputs.get("overwrite", False)
    job = SegmentJob(
        inputs=[str(text) for text in inputs],
        outputs=OutputConfig(**outputs),
        overlay=OverlayConfig(),
        config=config or SegmentConfig(overwrite=overwrite),
        choose=lambda: PredictorChoice(path=model, device="cpu", precision="fp32"),
        processes=processes,
    )
    return segment_on_cluster(job, listener or Listener(), cluster or InProcess())


def same_video(one: Path, other: Path) -> bool:
    """Whether two videos have the same frames at the same times."""
    (frames, times), (others, other_times) = decode(one), decode(other)
    return times == other_times and bool((np.stack(frames) == np.stack(others)).all())
