"""A whole run of `segment` and of the plain loop: mask, overlay and table of the first frames of a video."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from endoseg_cli.benchmark.footage import Footage
from endoseg_cli.benchmark.loop_process import LoopJob, LoopProcess, loop_process
from endoseg_cli.benchmark.measure import Compared, MeasureConfig, Tell, Work, in_turns, real_time
from endoseg_cli.benchmark.memory import MemoryWatch, Peak
from endoseg_cli.errors import InputError
from endoseg_cli.inference.inputs.sources import Source
from endoseg_cli.inference.pipeline import Outcome, SegmentConfig, segment_video
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.refine.refiner import RefineConfig, RefineMode
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.inference.write.overlay import OverlayConfig
from endoseg_cli.inference.write.products import ProductStyle
from endoseg_cli.inference.write.records import RecordsWriter

PLAIN_LOOP = "plain loop"


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What one whole run did."""

    frames: int
    """Frames written."""
    peak: Peak
    """Memory."""
    outcome: Outcome | None
    """What `segment` says of it; None for the plain loop."""


@dataclass(frozen=True, kw_only=True)
class WholeRuns:
    """What whole runs take."""

    model: Path
    """File of the model, for the plain loop."""
    predictor: Predictor
    """The same model, as `segment` runs it."""
    config: SegmentConfig
    """How `segment` is run, apart from what it refines."""
    folder: Path
    """For outputs, which every run replaces."""

    def modes(self) -> tuple[RefineMode, ...]:
        """Return what `segment` may refine with this model."""
        return ("off", "flagged", "all") if self.predictor.corrective is not None else ("off",)

    def compare(self, footage: Footage, measure: MeasureConfig, first: int, tell: Tell) -> dict[str, Compared[Ran]]:
        """Measure `segment` in every mode, by its name, and the plain loop, in turns."""
        works = [
            Work(name=f"refine {mode}", run=partial(self.segment, footage, mode), count=_frames)
            for mode in self.modes()
        ]
        with self._plain_loop(footage) as process:
            loop = Work(name=PLAIN_LOOP, run=partial(self.loop, footage, process), count=_frames)
            return in_turns([*works, loop], measure, first=first, ready=footage.ready, tell=tell)

    def segment(self, footage: Footage, mode: RefineMode, frames: int) -> Ran:
        """Segment the first frames as the command does, into mask, overlay and table."""
        watch = MemoryWatch(self.predictor.device)
        targets = Targets(
            source=Source(path=footage.path, place=Path(footage.path.stem)),
            masks=self.folder / "mask.mp4",
            overlay=self.folder / "overlay.mp4",
            mask_pictures=None,
            probabilities=None,
            frames=None,
            name=PurePosixPath(footage.path.stem),
        )
        style = ProductStyle(
            class_names=self.predictor.card.class_names,
            overlay=OverlayConfig(),
            model=self.predictor.card.name,
            half_precision=self.predictor.half_precision,
        )
        refine, end = RefineConfig(choice=mode), footage.end(frames)
        config = replace(self.config, refine=refine, end=end, overwrite=True)
        with RecordsWriter(self.folder / "table.csv") as records:
            outcome = segment_video(targets, self.predictor, style, config, records)
        return Ran(frames=outcome.frames, peak=watch.peak(), outcome=outcome)

    def loop(self, footage: Footage, process: LoopProcess, frames: int) -> Ran:
        """Segment the first frames by the plain loop."""
        done, peak = process.run(frames)
        if not done:
            raise InputError(
                f"OpenCV, which the plain loop reads with, finds no frame in {footage.path}",
                hint="convert it to H.264, for example with ffmpeg",
            )
        return Ran(frames=done, peak=peak, outcome=None)

    def _plain_loop(self, footage: Footage) -> AbstractContextManager[LoopProcess]:
        out = self.folder / "loop"
        out.mkdir(exist_ok=True)
        job = LoopJob(
            model=str(self.model),
            network=self.predictor.network,
            video=str(footage.path),
            out=str(out),
            device=str(self.predictor.device),
            threads=torch.get_num_threads(),
            threshold=self.config.mask.threshold,
        )
        return loop_process(job)


def describe(compared: dict[str, Compared[Ran]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return `segment`'s runs by what they refine, with their ratios to the plain loop, and the loop's own."""
    loop = compared[PLAIN_LOOP]
    runs = {
        name.removeprefix("refine "): {
            **_described(each),
            "busy_share": _busy(each.results),
            "lesion_frames": _outcomes(each.results)[-1].lesion_frames,
            "refined_frames": _outcomes(each.results)[-1].refine_counts.refined_frames,
            "ratio_to_plain_loop": _ratio(each.ratios_to(loop)),
        }
        for name, each in compared.items()
        if name != PLAIN_LOOP
    }
    return runs, _described(loop)


def _described(compared: Compared[Ran]) -> dict[str, Any]:
    peaks = [ran.peak for ran in compared.results]
    most = max(peaks, key=lambda peak: peak.resident or 0)
    return {**compared.timing.to_dict(), "real_time": real_time(compared.timing), "peak_memory": most.to_dict()}


def _busy(results: Sequence[Ran]) -> dict[str, float]:
    """Return for each thread which share of the run's time it worked, at most 1; the median run's."""
    ordered = sorted(_outcomes(results), key=lambda outcome: outcome.seconds)
    middle = ordered[len(ordered) // 2]
    return {name: min(busy / middle.seconds, 1.0) for name, busy in vars(middle.stages).items()}


def _ratio(ratios: tuple[float, ...]) -> dict[str, Any]:
    ordered = sorted(ratios)
    half = len(ordered) // 2
    median = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return {"median": median, "rounds": list(ratios)}


def _outcomes(results: Sequence[Ran]) -> list[Outcome]:
    return [ran.outcome for ran in results if ran.outcome is not None]


def _frames(ran: Ran) -> int:
    return ran.frames
