"""Suggest which unlabelled frames to label next: look at all of them, choose, and write the chosen ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from endoseg_cli.data.clips.redaction import check_videos
from endoseg_cli.data.labels.layout import DEFAULT_FRAMES_PER_SECOND, find_labeled, unlabeled_files
from endoseg_cli.data.labels.short_names import short_names
from endoseg_cli.errors import EndosegError, InputError, MissingInputError, UsageError
from endoseg_cli.inference.predict.masks import MaskConfig
from endoseg_cli.inference.predict.predictor import Pixels
from endoseg_cli.inference.suggest.frame_quality import Quality, are_usable, measure_quality
from endoseg_cli.inference.suggest.frame_scores import Feature, FrameScorer
from endoseg_cli.inference.suggest.selection import Candidates, choose
from endoseg_cli.inference.suggest.suggestion_folder import (
    Suggestion,
    SuggestionStyle,
    check_folder,
    write_suggestions,
)
from endoseg_cli.pictures.images import read_image
from endoseg_cli.pictures.redaction import NOTHING, RedactConfig, contradiction
from endoseg_cli.video.reading.reader import sample_frames


@dataclass(frozen=True, kw_only=True)
class SuggestConfig:
    """What to look at and how many frames to suggest."""

    unlabeled: tuple[Path, ...]
    """Pictures, videos, folders of either."""
    out: Path
    """The folder to write."""
    count: int = 50
    """How many frames to suggest."""
    labeled: tuple[Path, ...] = ()
    """Frames with masks, given as for training; what looks like them is not suggested again."""
    frames_per_second: float = DEFAULT_FRAMES_PER_SECOND
    """How densely videos are sampled."""
    mask: MaskConfig = field(default_factory=MaskConfig)
    """How probabilities become the masks to correct."""
    redact: RedactConfig = NOTHING
    """What is blanked in the pictures that are written; the networks see it all the same."""
    keep_metadata: bool = False
    """Copy pictures with their EXIF and the like."""
    whole_paths: bool = False
    """Name files in the table by their paths as they were given."""

    def __post_init__(self) -> None:
        if not self.unlabeled:
            raise UsageError("expected --unlabeled, found none", hint="give a video, or a folder of frames or videos")
        if self.count < 1:
            raise UsageError(f"--count must be at least 1, found {self.count}")
        if not self.frames_per_second > 0:
            raise UsageError(f"--frames-per-second: expected a positive number, found {self.frames_per_second}")
        if self.redact and self.keep_metadata:
            raise contradiction()


@dataclass(frozen=True, kw_only=True)
class Suggestions:
    """What was suggested."""

    chosen: tuple[Suggestion, ...]
    """The frames written, the best first."""
    frames: int
    """How many frames were looked at."""
    unusable: int
    """How many of them were black, washed out or blurred."""
    failures: tuple[EndosegError, ...]
    """Files that could not be read, or not to their end."""
    warnings: tuple[str, ...] = ()
    """What is to be known of the blanked parts, one sentence each."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """What is kept of each frame: a kilobyte or two, so that hours of video fit into memory."""

    file: Path
    group: str
    frame: int | None
    seconds: float | None
    quality: Quality
    uncertainty: float
    disagreement: float | None
    feature: Feature


def suggest_frames(
    config: SuggestConfig,
    load_scorer: Callable[[], FrameScorer],
    on_frames: Callable[[Path, int], None] = lambda file, frames: None,
) -> Suggestions:
    """Suggest frames and write them with masks to correct; `on_frames` is told the file and the frames seen so far.

    Files that cannot be read do not stop the others. Raises UsageError, OutputError where the folder is taken,
    InputError or MissingInputError where there is nothing to look at, or nothing that could be labelled.
    """
    check_folder(config.out)
    pictures, videos = _find(config.unlabeled)
    labeled = [record.image for root in config.labeled for record in find_labeled(root)]
    if config.redact:
        config.redact.check_first([path for _, path in pictures])
        check_videos(config.redact, [path for _, path in videos])
    names = _names(config, [path for _, path in (*pictures, *videos)])
    scorer = load_scorer()
    failures: list[EndosegError] = []
    seen: list[_Seen] = []
    for found in _look(_frames(pictures, videos, config, scorer, failures), scorer):
        seen.append(found)
        on_frames(found.file, len(seen))
    usable = _usable(seen)
    if not usable:
        if len(failures) == 1 and not seen:
            raise failures[0]
        raise InputError(
            f"expected frames that can be labelled, found {len(seen)}, all of them black, washed out or blurred",
            hint="look at the input, and at --frames-per-second",
        )
    known = [one.feature for one in _look(_labeled_frames(labeled, scorer), scorer)]
    choices = choose(_candidates(usable), config.count, np.stack(known) if known else None)
    chosen = [
        Suggestion(
            file=one.file,
            source=names[one.file],
            group=one.group,
            frame=one.frame,
            seconds=one.seconds,
            score=choice.score,
            uncertainty=one.uncertainty,
            disagreement=one.disagreement,
            novelty=choice.novelty,
        )
        for choice in choices
        for one in (usable[choice.index],)
    ]
    style = SuggestionStyle(
        mask=config.mask,
        frames_per_second=config.frames_per_second,
        redact=config.redact,
        keep_metadata=config.keep_metadata,
    )
    warnings = write_suggestions(config.out, chosen, scorer, style)
    return Suggestions(
        chosen=tuple(chosen),
        frames=len(seen),
        unusable=len(seen) - len(usable),
        failures=tuple(failures),
        warnings=tuple(warnings),
    )


_Placed = tuple[str, Path]
_Frame = tuple[Path, str, int | None, float | None, Quality, Pixels]


def _find(paths: Sequence[Path]) -> tuple[list[_Placed], list[_Placed]]:
    """Return pictures and videos with their groups, each file once."""
    pictures: dict[Path, _Placed] = {}
    videos: dict[Path, _Placed] = {}
    for root in paths:
        found_pictures, found_videos, _ = unlabeled_files(root)
        if not found_pictures and not found_videos:
            found = "nothing of the kind in it" if root.exists() else "no such path"
            raise MissingInputError(f"--unlabeled {root}: expected pictures or videos, found {found}")
        for placed, into in ((found_pictures, pictures), (found_videos, videos)):
            for group, path in placed:
                into.setdefault(path.resolve(), (group, path))
    return list(pictures.values()), list(videos.values())


def _names(config: SuggestConfig, files: Sequence[Path]) -> dict[Path, str]:
    """Return what the table calls each file: its path below the folder that was given."""
    if config.whole_paths:
        return {file: str(file) for file in files}
    folders = [root for root in config.unlabeled if root.is_dir()]
    counts = [
        min((len(file.relative_to(root).parts) for root in folders if root in file.parents), default=1)
        for file in files
    ]
    return dict(zip(files, short_names(list(zip(files, counts, strict=True))), strict=True))


def _frames(
    pictures: Sequence[_Placed],
    videos: Sequence[_Placed],
    config: SuggestConfig,
    scorer: FrameScorer,
    failures: list[EndosegError],
) -> Iterator[_Frame]:
    """Yield every frame at the model's size."""
    size = None if scorer.crops else scorer.card.input_size
    for group, path in pictures:
        try:
            small, _ = scorer.shrink(read_image(path))
        except EndosegError as error:
            failures.append(error)
            continue
        yield path, group, None, None, measure_quality(small), small
    for group, path in videos:
        try:
            for index, seconds, picture in sample_frames(path, config.frames_per_second, size):
                small, _ = scorer.shrink(picture) if scorer.crops else (picture, None)
                yield path, group, index, seconds, measure_quality(small), small
        except EndosegError as error:
            failures.append(error)


def _labeled_frames(images: Sequence[Path], scorer: FrameScorer) -> Iterator[_Frame]:
    for path in images:
        small, _ = scorer.shrink(read_image(path))
        yield path, "", None, None, measure_quality(small), small


def _look(frames: Iterator[_Frame], scorer: FrameScorer) -> Iterator[_Seen]:
    while batch := list(islice(frames, scorer.batch_size)):
        scores = scorer.score([pixels for *_, pixels in batch])
        for (file, group, frame, seconds, quality, _), score in zip(batch, scores, strict=True):
            yield _Seen(
                file=file,
                group=group,
                frame=frame,
                seconds=seconds,
                quality=quality,
                uncertainty=score.uncertainty,
                disagreement=score.disagreement,
                feature=score.feature,
            )


def _usable(seen: Sequence[_Seen]) -> list[_Seen]:
    """Return the frames that show enough; those of one video, or of one folder of pictures, are compared."""
    groups: dict[str, list[_Seen]] = defaultdict(list)
    for one in seen:
        groups[one.group].append(one)
    return [
        one
        for members in groups.values()
        for one, ok in zip(members, are_usable([member.quality for member in members]), strict=True)
        if ok
    ]


def _candidates(usable: Sequence[_Seen]) -> Candidates:
    files = {file: number for number, file in enumerate(dict.fromkeys(one.file for one in usable))}
    apart = [one.disagreement for one in usable if one.disagreement is not None]
    return Candidates(
        uncertainty=np.array([one.uncertainty for one in usable], dtype=np.float32),
        disagreement=np.array(apart, dtype=np.float32) if apart else None,
        features=np.stack([one.feature for one in usable]),
        source=np.array([files[one.file] for one in usable], dtype=np.int64),
        seconds=np.array([np.nan if one.seconds is None else one.seconds for one in usable], dtype=np.float32),
    )
