"""Set frames aside for validation so that no patient or video both trains and validates."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from endoseg_cli.data.labels.layout import LabeledRecord
from endoseg_cli.errors import UsageError

MOST_DRAWS = 100
"""Draws of patients after which a set without a lesion is taken as it is."""
LabeledGroups = dict[str, list[LabeledRecord]]


def split_by_group(
    records: Sequence[LabeledRecord],
    fraction: float,
    seed: int,
    *,
    sets: Sequence[Sequence[LabeledRecord]] | None = None,
    has_lesion: Callable[[LabeledRecord], bool] | None = None,
) -> tuple[list[LabeledRecord], list[LabeledRecord]]:
    """Return (train, val), about `fraction` of the frames in val, no patient or video in both.

    Patients are the folders of the first level that has two or more of them; in each of `sets`, the records of one
    labelled folder, by itself, where they are given. A folder of the same name in two sets is one patient. A flat
    folder is cut by name instead: val is one run of neighbours, so that only its two ends touch the frames trained on;
    `flat_split_warning` says so.
    With `has_lesion`, other draws follow until both sets show a lesion, if any does.
    The same records, fraction and seed give the same split. Raises UsageError.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"--val-fraction: expected a number between 0 and 1, found {fraction}")
    if len(records) < 2:
        raise UsageError(f"--val-fraction: expected two or more labelled frames to split, found {len(records)}")
    ordered = sorted(records, key=natural_order)
    groups = _patients([ordered] if sets is None else [sorted(each, key=natural_order) for each in sets])
    drawn = _cuts_by_name(ordered, fraction, seed) if len(groups) < 2 else _draws_of_groups(groups, fraction, seed)
    first = next(drawn)
    if has_lesion is None:
        return first
    fits = (each for each in chain([first], drawn) if all(any(map(has_lesion, part)) for part in each))
    return next(fits, first)


def _draws_of_groups(
    groups: LabeledGroups, fraction: float, seed: int
) -> Iterator[tuple[list[LabeledRecord], list[LabeledRecord]]]:
    """Yield (train, val) of one draw after the other."""
    sizes = {name: len(frames) for name, frames in groups.items()}
    wanted = fraction * sum(sizes.values())
    for draw in range(MOST_DRAWS):
        chosen = _choose_groups(sizes, wanted, f"{seed}+{draw}" if draw else f"{seed}")
        train = [record for name, frames in groups.items() if name not in chosen for record in frames]
        val = [record for name, frames in groups.items() if name in chosen for record in frames]
        yield train, val


def flat_split_warning(sets: Sequence[Sequence[LabeledRecord]]) -> str | None:
    """Return what to tell the user if a split of these labelled folders cannot keep patients apart, else None."""
    if len(_patients(sets)) > 1:
        return None
    return (
        "all labelled frames lie in one folder, so frames of one patient may both train and validate and the "
        "validation figures flatter; sort them into one folder per patient or video, or give --val"
    )


def _patients(sets: Sequence[Sequence[LabeledRecord]]) -> LabeledGroups:
    """Group the records of each set, and join groups of the same name."""
    joined: LabeledGroups = defaultdict(list)
    for records in sets:
        for name, group in _patients_of_one(records).items():
            joined[name] += group
    return joined


def _patients_of_one(records: Sequence[LabeledRecord]) -> LabeledGroups:
    """Group records by the first level of folders that tells them apart (a video's folder may lie in a patient's)."""
    depth = 1
    deepest = max((record.group.count("/") + 1 for record in records), default=1)
    while True:
        groups: LabeledGroups = defaultdict(list)
        for record in records:
            groups["/".join(record.group.split("/")[:depth])].append(record)
        if len(groups) > 1 or depth >= deepest:
            return groups
        depth += 1


def _choose_groups(sizes: dict[str, int], wanted: float, seed: str) -> set[str]:
    """Take groups in a drawn order as long as each brings val nearer to its size; at least one, never all."""
    drawn = sorted(sizes, key=lambda name: hashlib.blake2b(f"{seed}/{name}".encode()).digest())
    chosen: set[str] = set()
    count = 0
    for name in drawn:
        if len(chosen) < len(drawn) - 1 and abs(count + sizes[name] - wanted) < abs(count - wanted):
            chosen.add(name)
            count += sizes[name]
    return chosen or {min(drawn, key=lambda name: sizes[name])}


def _cuts_by_name(
    ordered: Sequence[LabeledRecord], fraction: float, seed: int
) -> Iterator[tuple[list[LabeledRecord], list[LabeledRecord]]]:
    """Yield (train, val) with val one run of neighbours by name, its first start drawn from the seed."""
    length = min(max(round(fraction * len(ordered)), 1), len(ordered) - 1)
    draw = int.from_bytes(hashlib.blake2b(f"{seed}".encode(), digest_size=8).digest())
    starts = len(ordered) - length + 1
    for further in range(starts):
        start = (draw + further) % starts
        end = start + length
        yield [*ordered[:start], *ordered[end:]], list(ordered[start:end])


def natural_order(record: LabeledRecord) -> tuple[list[tuple[int, str]], str]:
    """Sort frame9 before frame10: neighbours in a video are neighbours in the list."""
    return natural_key(record.name), record.name


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return what to sort a name by so that its numbers count as numbers."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
