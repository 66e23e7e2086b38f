"""`endoseg evaluate --video`: score a model, and what refinement makes of it, over time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.progress import TextColumn, TimeElapsedColumn

from endoseg_cli.cli.console.bar import passing_bar
from endoseg_cli.cli.console.say import one_line, say
from endoseg_cli.cli.console.tables import print_tables
from endoseg_cli.cli.options.evaluating import VideoOptions, VideoPaths
from endoseg_cli.part_file import write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from endoseg_cli.data.clips.scored_clips import Clip, ClipFrame
    from endoseg_cli.evaluation.video.scoring import ClipScorer
    from endoseg_cli.inference.predict.predictor import Predictor
    from endoseg_cli.inference.refine.refiner import RefinedFrame, RefineMode, Refiner
    from endoseg_cli.pictures.redaction import RedactConfig

STILL_CLIPS = 40
"""Clips made of stills, if nobody says how many."""
BASELINE_WINDOW = 5
"""Frames that a baseline sees where the model has no corrective network to go by."""


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """Where a page of each video goes."""

    place: Path
    """The page of the one video, or a folder."""
    overwrite: bool
    """Replace pages that exist."""
    redact: RedactConfig
    """What of their pictures is blanked."""


def evaluate_video(
    paths: VideoPaths,
    predictor: Predictor,
    options: VideoOptions,
    *,
    threshold: float,
    per_frame: Path | None,
    as_json: bool,
    pages: PageOptions | None = None,
) -> None:
    """Score clips and print tables or JSON on stdout."""
    from endoseg_cli.data.clips.scored_clips import find_clips
    from endoseg_cli.evaluation.report.video_tables import frame_table, video_tables
    from endoseg_cli.evaluation.video.scoring import BEFORE, ClipScorer, video_report
    from endoseg_cli.evaluation.video.spoil import Spoiler
    from endoseg_cli.inference.predict.masks import MaskConfig
    from endoseg_cli.pages.clips import ClipPage
    from endoseg_cli.pictures.redaction import RedactConfig

    MaskConfig(threshold=threshold)  # refuses thresholds that are none
    crop = predictor.card.field_of_view == "auto"
    videos = [clip for path in paths.video or () for clip in find_clips(path)]
    redact = RedactConfig() if pages is None else pages.redact
    if redact:
        _check_boxes(redact, videos)
    clips = _clips(videos, paths, predictor.input_size, options.still_clips or STILL_CLIPS, crop=crop, redact=redact)
    places = None if pages is None else _pages(videos, paths, pages)
    methods = _methods(predictor, options, threshold)
    scorer = ClipScorer(_as_predict(predictor), methods, threshold=threshold)
    warnings: list[str] = []
    columns = (TextColumn("{task.description}", markup=False), TextColumn("{task.completed:.0f} frames"))
    with passing_bar(*columns, TimeElapsedColumn()) as progress:
        for number, (name, frames) in enumerate(clips):
            task = progress.add_task(one_line(name), total=None)
            spoiler = None
            if options.spoil is not None:
                spoiler = Spoiler(seed=options.spoil, clip=number, threshold=threshold)
            told = partial(progress.advance, task)
            if pages is None or places is None:
                scorer.add(name, frames, spoiler, on_frame=told)
                continue
            shown = next(iter(methods), BEFORE)
            page = ClipPage(places[number], name, method=shown, model=predictor.card.name, overwrite=pages.overwrite)
            with page:
                scorer.add(name, frames, spoiler, on_frame=told, on_scored=page.add)
            warnings += page.warnings
    for warning in warnings:
        say(f"warning: {warning}")
    if as_json:
        typer.echo(json.dumps(_report(scorer, predictor, options, video_report(scorer)), indent=2, allow_nan=False))
    else:
        print_tables(video_tables(scorer.summaries()))
    if per_frame is not None:
        table = frame_table([score for scores in scorer.scores.values() for score in scores])
        write_whole(per_frame, table, durable=True)


def _clips(
    found: Sequence[Clip],
    paths: VideoPaths,
    size: tuple[int, int],
    still_clips: int,
    *,
    crop: bool,
    redact: RedactConfig,
) -> Iterator[tuple[str, Iterable[ClipFrame]]]:
    """Return the names and frames of all clips; what can be found wrong before reading them is raised at once."""
    from endoseg_cli.data.clips.scored_clips import clips_of_stills, read_clip
    from endoseg_cli.data.labels.layout import find_labeled

    records = [record for path in paths.stills or () for record in find_labeled(path)]
    videos = ((clip.name, read_clip(clip, size, crop=crop, redact=redact)) for clip in found)
    return chain(videos, clips_of_stills(records, still_clips, size, crop=crop) if records else ())


def _check_boxes(redact: RedactConfig, clips: Sequence[Clip]) -> None:
    from endoseg_cli.data.clips.redaction import check_videos

    for clip in clips:
        if isinstance(clip.frames, Path):
            check_videos(redact, [clip.frames])
        else:
            redact.check_first(clip.frames)


def _pages(clips: Sequence[Clip], paths: VideoPaths, pages: PageOptions) -> list[Path]:
    """Return the page of each video, all of which can be written; raises UsageError and OutputError."""
    from endoseg_cli.evaluation.report.output import check_output
    from endoseg_cli.pages.place import beside, pages_for

    names = [clip.name for clip in clips]
    single = len(names) == 1 and len(paths.video or ()) == 1
    found = pages_for(pages.place, names, single=single)
    for page in found:
        check_output(page, "--report", overwrite=pages.overwrite)
        check_output(beside(page), "--report", overwrite=pages.overwrite)
    return found


def _report(scorer: ClipScorer, predictor: Predictor, options: VideoOptions, results: dict[str, Any]) -> dict[str, Any]:
    return {"model": predictor.card.name, "causal": options.causal, "spoil_seed": options.spoil, **results}


def _as_predict(
    predictor: Predictor,
) -> Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]:
    def predict(picture: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        probability, uncertainty = predictor.predict_with_uncertainty([picture])
        return probability[0], uncertainty[0]

    return predict


def _methods(predictor: Predictor, options: VideoOptions, threshold: float) -> dict[str, Callable[[], _RefinerMethod]]:
    """Return what makes each method for a clip: the corrective network in each mode, then baselines in the same."""
    import torch

    from endoseg_cli.evaluation.video.baselines import BASELINES
    from endoseg_cli.inference.predict.corrector import Corrector
    from endoseg_cli.inference.refine.refiner import RefineConfig, Refiner, make_refiner

    modes = _modes(predictor, options)
    makers: dict[str, Callable[[], Refiner[Any]]] = {}
    if predictor.corrective is not None and options.refine != "off":
        for mode in modes:
            config = RefineConfig(choice=mode, causal=options.causal)
            makers[f"refined, {mode}"] = partial(make_refiner, predictor, config, threshold)
    window = BASELINE_WINDOW if predictor.corrective is None else predictor.corrective.config.window
    for name, baseline in BASELINES.items() if options.baselines else ():
        corrector = Corrector(baseline(), window=window, device=torch.device("cpu"))
        for mode in modes:
            makers[f"{name}, {mode}"] = partial(Refiner, corrector, mode, threshold=threshold, causal=options.causal)
    return {name: partial(_RefinerMethod.of, make) for name, make in makers.items()}


def _modes(predictor: Predictor, options: VideoOptions) -> tuple[RefineMode, ...]:
    """Return the modes to score; raises UsageError where the model cannot do what is asked for."""
    from endoseg_cli.inference.refine.refiner import RefineConfig

    if options.refine in (None, "off"):
        return ("all",) if options.causal else ("flagged", "all")
    config = RefineConfig(choice=options.refine, causal=options.causal)
    mode = config.mode(has_network=predictor.corrective is not None, model=predictor.card.name)
    return () if mode == "off" else (mode,)


class _RefinerMethod:
    """A refiner as the evaluation of clips wants it: maps in, maps out."""

    def __init__(self, refiner: Refiner[Any]) -> None:
        self._refiner = refiner

    @classmethod
    def of(cls, make: Callable[[], Refiner[Any]]) -> _RefinerMethod:
        """Begin a clip with a refiner of its own."""
        return cls(make())

    def step(
        self,
        picture: NDArray[np.uint8],
        probability: NDArray[np.float32],
        uncertainty: NDArray[np.float32],
        time: float,
    ) -> Sequence[NDArray[np.float32]]:
        """Take the next frame; return the probabilities that are ready."""
        from endoseg_cli.inference.predict.corrector import PredictedFrame

        frame = PredictedFrame(picture=picture, probability=probability, uncertainty=uncertainty, time=time)
        return _maps(self._refiner.step(frame))

    def finish(self) -> Sequence[NDArray[np.float32]]:
        """Return the probabilities that are left."""
        return _maps(self._refiner.finish())


def _maps(frames: Sequence[RefinedFrame]) -> list[NDArray[np.float32]]:
    return [frame.probability for frame in frames]
