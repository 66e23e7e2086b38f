"""From the paths on the command line to the clips of the corrective network's training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from endoseg_cli.data.clips.training_clips import (
    ClipShape,
    RawClip,
    masks_of_video,
    sequence_clips,
    still_clips,
    video_clips,
)
from endoseg_cli.data.labels.faults import Fault, raise_faults
from endoseg_cli.data.labels.layout import LabeledRecord, UnlabeledRecord, find_videos, scan_labeled
from endoseg_cli.data.sets.sources import DataSources
from endoseg_cli.data.sets.validation_split import split_by_group
from endoseg_cli.data.views.augment import random_generator
from endoseg_cli.errors import InputError, UsageError
from endoseg_cli.training.corrective.clips import Clip, FrozenNetworks, split_clips
from endoseg_cli.training.corrective.config import CorrectiveSources, CorrectiveTrainConfig
from endoseg_cli.training.corrective.phantom_clips import phantom_clips
from endoseg_cli.training.corrective.trainer import CorrectiveData

VALIDATION_CLIPS = 32
"""Most clips of validation stills."""
HELD_OUT = 0.1
"""Share of the stills, and of all other clips, that is set aside for validation."""


@dataclass(frozen=True, kw_only=True)
class ClipSources:
    """The files that clips are made of."""

    stills: tuple[LabeledRecord, ...] = ()
    """Stills with masks."""
    val: tuple[LabeledRecord, ...] = ()
    """Stills with masks to validate on."""
    sequences: tuple[LabeledRecord, ...] = ()
    """Consecutive frames with masks, a group each."""
    labeled_videos: tuple[Path, ...] = ()
    """Videos with masks."""
    videos: tuple[Path, ...] = ()
    """Videos without masks."""
    phantom: int = 0
    """Clips to render."""
    val_phantom: int = 0
    """Clips to render and validate on alone."""
    frames_per_second: float = 25.0
    """Frame rate of the sequences."""

    def as_data(self) -> DataSources:
        """Return the files as stage one knows them, for the digest of the data."""
        videos = (*self.labeled_videos, *self.videos)
        return DataSources(
            labeled=(*self.stills, *self.sequences),
            unlabeled=tuple(UnlabeledRecord(image=path, group=path.stem, name=path.stem) for path in videos),
            val=self.val,
            faults=(),
            warnings=(),
        )


def gather_clip_sources(sources: CorrectiveSources, seed: int) -> ClipSources:
    """Find all files; raises InputError with every fault, UsageError for sets that are too small to split."""
    faults: list[Fault] = []

    def scan(roots: Sequence[Path]) -> tuple[LabeledRecord, ...]:
        scans = [scan_labeled(root) for root in roots]
        faults.extend(fault for found in scans for fault in found.faults)
        return tuple(record for found in scans for record in found.records)

    videos = {root: tuple(find_videos([root])) for root in sources.sequences}
    stills, sequences = scan(sources.labeled), scan([root for root in sources.sequences if not videos[root]])
    val = scan([sources.val] if sources.val else [])
    for video in (video for found in videos.values() for video in found if masks_of_video(video) is None):
        faults.append(Fault(kind="partner", path=video, message=f"expected masks in {video.stem}_masks beside {video}"))
    unlabeled = tuple(find_videos(sources.unlabeled))
    if sources.unlabeled and not unlabeled:
        listed = ", ".join(map(str, sources.unlabeled))
        faults.append(Fault(kind="missing", path=sources.unlabeled[0], message=f"expected videos in {listed}"))
    raise_faults(faults)
    if stills and not val and not sources.val_phantom:
        if len(stills) < 2:
            raise UsageError("expected two or more labelled stills, found 1", hint="one is needed to validate on")
        train, held = split_by_group(stills, HELD_OUT, seed)
        stills, val = tuple(train), tuple(held)
    return ClipSources(
        stills=stills,
        val=val,
        sequences=sequences,
        labeled_videos=tuple(video for found in videos.values() for video in found),
        videos=unlabeled,
        phantom=sources.phantom,
        val_phantom=sources.val_phantom,
        frames_per_second=sources.frames_per_second,
    )


def make_clips(
    sources: ClipSources,
    config: CorrectiveTrainConfig,
    frozen: FrozenNetworks,
    tell: Callable[[str], None],
) -> CorrectiveData:
    """Make the clips of a run and predict their frames; frames of unlabelled video that are not trusted are left out.

    `tell` hears what takes its time. With --max-time, no more stills become clips than fit into CLIP_SHARE of it.
    Raises InputError if no clip is left to train or validate on.
    """
    shape = ClipShape(frames=config.clip_frames, size=frozen.input_size, seed=config.seed, crop=frozen.crop)

    def predict(what: str, raw: Iterator[RawClip]) -> list[Clip]:
        clips = [
            frozen.add_predictions(clip, random_generator(config.seed, number, 0, f"twins {what}"))
            for number, clip in enumerate(raw)
        ]
        trusted = [clip for clip in clips if clip.trusted]
        tell(f"{len(trusted)} clips of {what}" + (f", {len(clips) - len(trusted)} not trusted" if clips else ""))
        return trusted

    training: list[Clip] = []
    validation: list[Clip] = []
    if config.max_time is not None and sources.stills:
        began = time.monotonic()
        trial = next(iter(still_clips(sources.stills, 1, shape, "training")))
        frozen.add_predictions(trial, random_generator(config.seed, 0, 0, "twins"))
        fitting = round(config.max_time * CLIP_SHARE / (time.monotonic() - began))
        config = replace(config, clips=min(config.clips, max(fitting, FEWEST_CLIPS)))
    if sources.stills:
        eventful = replace(shape, eventful=True)
        training += predict("labelled stills", still_clips(sources.stills, config.clips, eventful, "training"))
    if sources.val:
        count = min(len(sources.val), max(config.clips // 4, 1), VALIDATION_CLIPS)
        validation += predict("validation stills", still_clips(sources.val, count, shape, "validation"))
    if sources.val_phantom:
        rendered = phantom_clips(sources.val_phantom, replace(shape, seed=config.seed + 1), scenes=("colon",))
        validation += predict("the phantom to validate on", rendered)
    for what, raw in _moving(sources, config, shape):
        clips = predict(what, raw)
        first, held = (clips, []) if sources.val_phantom else split_clips(clips, HELD_OUT)
        # pseudo-labels judge the correction only where there is nothing better
        pseudo = what == UNLABELED and validation
        training += [*first, *held] if pseudo else first
        validation += [] if pseudo else held
    if not training or not validation:
        raise InputError(
            f"expected clips to train and to validate on, found {len(training)} and {len(validation)}",
            hint="give more labelled frames or videos, or --phantom 20",
        )
    return CorrectiveData(training=training, validation=validation)


UNLABELED = "unlabelled video"
CLIP_SHARE = 0.4
"""Most of --max-time that making clips of stills takes."""
FEWEST_CLIPS = 8
"""Clips that are made however little time there is."""


def _moving(
    sources: ClipSources, config: CorrectiveTrainConfig, shape: ClipShape
) -> Iterator[tuple[str, Iterator[RawClip]]]:
    """Yield the kinds of clips that move by themselves; pseudo-labelled ones last."""
    if sources.sequences:
        rate = sources.frames_per_second
        yield "labelled sequences", sequence_clips(sources.sequences, config.clips, shape, rate)
    if sources.labeled_videos:
        yield "labelled video", video_clips(sources.labeled_videos, config.clips, shape)
    if sources.phantom:
        yield "the phantom", phantom_clips(sources.phantom, shape)
    if sources.videos:
        yield UNLABELED, video_clips(sources.videos, config.clips, shape)
