"""From the paths on the command line to the frames of training and validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from endoseg_cli.data.labels.faults import Fault
from endoseg_cli.data.labels.layout import (
    DEFAULT_FRAMES_PER_SECOND,
    LabeledRecord,
    UnlabeledRecord,
    scan_labeled,
    scan_unlabeled,
)
from endoseg_cli.data.labels.mask_reader import shows_lesion
from endoseg_cli.data.sets.leaks import copies_of
from endoseg_cli.data.sets.split import read_split, scan_split
from endoseg_cli.data.sets.validation_split import flat_split_warning, split_by_group
from endoseg_cli.errors import InputError, UsageError

SPLIT_OF_A_RUN = "split.json"
"""Where a run folder says what it was trained and validated on."""


@dataclass(frozen=True, kw_only=True)
class SourcesConfig:
    """Where the frames are: either folders, or a split file."""

    labeled: tuple[Path, ...] = ()
    """Folders of images with masks."""
    unlabeled: tuple[Path, ...] = ()
    """Folders of frames, videos, folders of videos."""
    negatives: tuple[Path, ...] = ()
    """Folders of frames, videos, folders of videos that are known to show no lesion; they have no masks."""
    val: Path | None = None
    """A folder of images with masks to validate on."""
    val_fraction: float | None = None
    """Which share of the labelled frames to validate on instead, whole patients where there are folders."""
    val_from: Path | None = None
    """A run folder whose validation frames validate again; all other labelled frames train."""
    split: Path | None = None
    """A split file in the authors' layout, instead of `labeled` and `val`."""
    root: Path | None = None
    """Where the names in the split file are looked up; the file's own folder if None."""
    outside_root: bool = False
    """Whether paths in the split file may lead out of `root`."""
    frames_per_second: float = DEFAULT_FRAMES_PER_SECOND
    """How densely unlabelled videos are sampled."""
    cache: Path | None = None
    """Where the frames of videos are kept; the user's cache folder if None."""
    seed: int = 0
    """What `val_fraction` draws patients from."""

    def __post_init__(self) -> None:
        if self.split is None and self.root is not None:
            raise UsageError("--root: expected together with --split, whose names it locates")
        if self.split is None and self.outside_root:
            raise UsageError("--outside-root: expected together with --split, whose paths it concerns")
        if self.split is not None and (self.labeled or self.val is not None or self.val_fraction is not None):
            raise UsageError("--split: names the frames by itself, without --labeled, --val and --val-fraction")
        if self.val is not None and self.val_fraction is not None:
            raise UsageError("--val and --val-fraction: expected one of them, found both")
        if self.val_from is not None and (self.split or self.val is not None or self.val_fraction is not None):
            raise UsageError("--val-from: names the validation frames, without --val, --val-fraction and --split")
        if self.split is None and not self.labeled and not self.unlabeled and self.val is None:
            raise UsageError("expected --labeled, --unlabeled, --val or --split, found none of them")
        if self.val_fraction is not None and not 0 < self.val_fraction < 1:
            raise UsageError(f"--val-fraction: expected a number between 0 and 1, found {self.val_fraction}")
        if not self.frames_per_second > 0:
            raise UsageError(f"--frames-per-second: expected a positive number, found {self.frames_per_second}")


@dataclass(frozen=True, kw_only=True)
class DataSources:
    """The frames found, with what is wrong about finding them."""

    labeled: tuple[LabeledRecord, ...]
    """Frames to train on with their masks."""
    unlabeled: tuple[UnlabeledRecord, ...]
    """Frames to train on without masks."""
    val: tuple[LabeledRecord, ...]
    """Frames to validate on."""
    negatives: tuple[UnlabeledRecord, ...] = ()
    """Frames to train on that are known to show no lesion."""
    faults: tuple[Fault, ...]
    """Missing paths and partners, bad split entries, videos that cannot be read."""
    warnings: tuple[str, ...]
    """What was left out, and splits that cannot keep patients apart."""


def gather_sources(config: SourcesConfig, on_video: Callable[[Path], None] | None = None) -> DataSources:
    """Find all frames; videos are decoded into the cache, and `on_video` is told of each before.

    Faults are collected, not raised; raises UsageError for a share that cannot be set aside, and MissingInputError
    or InputError for an unreadable split file.
    """
    if config.split is not None:
        split, found = scan_split(config.split, config.root, outside=config.outside_root)
        labeled, val, listed = split.labeled, split.val, split.unlabeled
        faults, warnings = list(found), list[str]()
    else:
        labeled, val, faults, warnings = _folders(config)
        listed = ()
    scan = scan_unlabeled(config.unlabeled, config.frames_per_second, config.cache, on_video)
    unlabeled = scan.records
    if config.split is None:
        copies = copies_of([record.image for record in (*labeled, *val)], [record.image for record in unlabeled])
        unlabeled = tuple(record for record in unlabeled if record.image not in copies)
        if copies:
            warnings.append(f"{len(copies)} unlabelled frames are copies of labelled or validation ones and left out")
    negatives = scan_unlabeled(config.negatives, config.frames_per_second, config.cache, on_video)
    return DataSources(
        labeled=labeled,
        unlabeled=(*listed, *unlabeled),
        val=val,
        faults=(*faults, *scan.faults, *negatives.faults),
        warnings=(*warnings, *scan.notes, *negatives.notes),
        negatives=negatives.records,
    )


def lacks_for_training(found: DataSources) -> list[tuple[str, str]]:
    """Return what `train` would refuse about frames without faults, and what to do about it."""
    lacks = []
    if not found.labeled:
        lacks.append(("training needs frames with masks", "give --labeled DIR, or --split FILE.json"))
    if not found.val:
        hint = "give --val DIR, --val-fraction 0.2 or --val-from RUN"
        lacks.append(("training needs frames to validate on", hint))
    return lacks


def _validated_before(run: Path) -> tuple[LabeledRecord, ...]:
    """Return the validation frames of a run; raises MissingInputError or InputError where they cannot be had."""
    file = run / SPLIT_OF_A_RUN if run.is_dir() else run
    val = read_split(file, outside=True).val
    if not val:
        raise InputError(f"--val-from: expected validation frames, found none in {file}", hint="give another run")
    return val


def _folders(
    config: SourcesConfig,
) -> tuple[tuple[LabeledRecord, ...], tuple[LabeledRecord, ...], list[Fault], list[str]]:
    """Return labelled frames, validation frames, faults and warnings of the folders."""
    scans = [scan_labeled(root) for root in config.labeled]
    labeled = tuple(record for scan in scans for record in scan.records)
    val: tuple[LabeledRecord, ...] = ()
    warnings: list[str] = []
    if config.val is not None:
        scans.append(scan_labeled(config.val))
        val = scans[-1].records
    faults = [fault for scan in scans for fault in scan.faults]
    warnings += [note for scan in scans for note in scan.notes]
    if config.val_fraction is not None and (labeled or not faults):
        sets = [scan.records for scan in scans]
        warnings += filter(None, [flat_split_warning(sets)])
        train, chosen = split_by_group(
            labeled,
            config.val_fraction,
            config.seed,
            sets=sets,
            has_lesion=lambda record: shows_lesion(record.image, record.mask),
        )
        labeled, val = tuple(train), tuple(chosen)
    if config.val_from is not None:
        val = _validated_before(config.val_from)
        copies = copies_of([record.image for record in val], [record.image for record in labeled])
        labeled = tuple(record for record in labeled if record.image not in copies)
    return labeled, val, faults, warnings
