"""Split files in the authors' layout: which frames train with masks, which without, which validate."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from endoseg_cli.data.labels.faults import Fault, raise_faults
from endoseg_cli.data.labels.layout import LabeledRecord, UnlabeledRecord
from endoseg_cli.data.sets.split_lookup import FrameLookup
from endoseg_cli.errors import InputError, MissingInputError, OutputError
from endoseg_cli.part_file import whole_file

EXPECTED_LAYOUT = '{"train": {"labeled": [...], "unlabeled": [...]}, "val": [...]}'


@dataclass(frozen=True, kw_only=True)
class Split:
    """The frames of a split file."""

    labeled: tuple[LabeledRecord, ...]
    """Frames to train on with their masks."""
    unlabeled: tuple[UnlabeledRecord, ...]
    """Frames to train on without masks."""
    val: tuple[LabeledRecord, ...]
    """Frames to validate on."""


def read_split(path: Path, root: Path | None = None, *, outside: bool = False) -> Split:
    """Read a split file of the authors' layout; raises MissingInputError, or InputError with every fault at once.

    An entry is a frame's name (with or without folder and ending, looked up in the image and mask folders below
    `root`) or {"image": PATH, "mask": PATH}, absolute or relative to `root`; `root` is the file's own folder if
    None. Masks of unlabelled entries are not looked at, nor is a list called test. Paths that lead out of `root`
    are faults unless `outside`.
    """
    split, faults = scan_split(path, root, outside=outside)
    raise_faults(faults, hint=f"names and paths are looked up below {root or path.parent}, change it with --root")
    return split


def scan_split(path: Path, root: Path | None = None, *, outside: bool = False) -> tuple[Split, tuple[Fault, ...]]:
    """Return the frames of a split file that can be found, and its faults; raises as `read_split` for a bad file."""
    labeled_entries, unlabeled_entries, val_entries = _read_lists(path)
    lookup = FrameLookup(path, root if root is not None else path.parent, outside=outside)
    split = Split(
        labeled=lookup.all_labeled(labeled_entries),
        unlabeled=lookup.all_unlabeled(unlabeled_entries),
        val=lookup.all_labeled(val_entries),
    )
    return split, (*lookup.faults, *_repeats(split, path))


def write_split(path: Path, split: Split, root: Path | None = None) -> None:
    """Write a split file that `read_split` reads back, its paths relative to `root` where they lie below it.

    Raises OutputError.
    """

    def shown(file: Path) -> str:
        file = file.resolve()
        below = root is not None and file.is_relative_to(root.resolve())
        return (file.relative_to(root.resolve()) if root is not None and below else file).as_posix()

    def pairs(records: Sequence[LabeledRecord]) -> list[dict[str, str]]:
        return [{"image": shown(record.image), "mask": shown(record.mask)} for record in records]

    unlabeled = [{"image": shown(record.image)} for record in split.unlabeled]
    content = {"train": {"labeled": pairs(split.labeled), "unlabeled": unlabeled}, "val": pairs(split.val)}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    try:
        with whole_file(path) as file:
            file.write(text.encode("utf-8", "surrogateescape"))  # names that are not UTF-8 keep their bytes
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _read_lists(path: Path) -> tuple[list[object], list[object], list[object]]:
    """Return the entries of labelled, unlabelled and val; of other lists only a test set may be there."""
    try:
        content = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except FileNotFoundError as error:
        raise MissingInputError(f"no such split file: {path}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"expected a JSON split file, found {error}: {path}") from error
    train = content.get("train") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(train, dict):
        raise InputError(f"expected {EXPECTED_LAYOUT}, found no train lists in {path}")
    unknown = [*(content.keys() - {"train", "val", "test"}), *(train.keys() - {"labeled", "unlabeled"})]
    if unknown:
        raise InputError(
            f"expected {EXPECTED_LAYOUT}, found {', '.join(sorted(unknown))} besides in {path}",
            hint="take other lists out of the file, or give them one of these names",
        )
    lists = train.get("labeled", []), train.get("unlabeled", []), content.get("val", [])
    if not all(isinstance(entries, list) for entries in lists):
        raise InputError(f"expected {EXPECTED_LAYOUT}, found something else than a list in {path}")
    return lists


def _repeats(split: Split, path: Path) -> list[Fault]:
    """List frames that stand in two lists, or twice in one."""
    lists: dict[Path, list[str]] = defaultdict(list)
    for title, images in (
        ("train.labeled", [record.image for record in split.labeled]),
        ("train.unlabeled", [record.image for record in split.unlabeled]),
        ("val", [record.image for record in split.val]),
    ):
        for image in images:
            lists[image.resolve()].append(title)
    return [
        Fault(kind="leak", path=path, message=f"expected {image} in one list, found it in {' and '.join(titles)}")
        for image, titles in lists.items()
        if len(titles) > 1
    ]
