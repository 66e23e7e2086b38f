"""What a data check learns by reading one frame, and what it says about a whole set of frames."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.labels.faults import Fault
from endoseg_cli.data.labels.layout import LabeledRecord, UnlabeledRecord
from endoseg_cli.data.labels.mask_reader import read_label
from endoseg_cli.data.sets.similarity import pixel_digest, thumbnail
from endoseg_cli.errors import EndosegError
from endoseg_cli.pictures.images import is_image, read_image
from endoseg_cli.pictures.orientation import UNTURNED_SIDES, orientation_of


@dataclass(frozen=True, kw_only=True)
class FrameFacts:
    """What reading one frame showed."""

    image: Path
    """The picture."""
    group: str
    """Its patient or video."""
    size: tuple[int, int] | None
    """Height and width in pixels; None if it cannot be read."""
    digest: str
    """A key that equal pictures share; '' if it cannot be read or is one even colour."""
    thumbnail: NDArray[np.uint8] | None
    """A small grey version, (32, 32); None if it cannot be read."""
    foreground: float | None
    """The mask's foreground as a share of its pixels, 0 to 1; None without a readable mask."""
    faults: tuple[Fault, ...]
    """What is wrong with the picture or its mask."""
    mask: Path | None = None
    """The mask, if it fits its picture as stored and as shown, which EXIF turns or mirrors otherwise than the mask."""


@dataclass(frozen=True, kw_only=True)
class ForegroundFacts:
    """Statistics of the masks of a set or of one of its groups."""

    masks: int
    """How many masks were read."""
    with_lesion: int
    """How many of them have any foreground."""
    quartiles: tuple[float, float, float] | None
    """The lesion's share of the picture where there is one: 25 %, 50 % and 75 % of such frames lie below."""


@dataclass(frozen=True, kw_only=True)
class SetFacts:
    """Counts, sizes and foreground of one set: labelled, unlabelled or validation."""

    frames: int
    """How many frames the set has."""
    read: int
    """How many of them were read, which are fewer in a cheap check."""
    groups: int
    """How many patients or videos they come from; frames directly in the folder count as one."""
    sizes: dict[str, int]
    """How many of the frames read have each size (width x height), the commonest first."""
    foreground: ForegroundFacts | None
    """The masks' statistics; None for unlabelled frames."""
    per_group: dict[str, ForegroundFacts]
    """The same for each group, if there is more than one."""


def inspect_labeled(record: LabeledRecord) -> FrameFacts:
    """Read an image and its mask; what is wrong with them becomes faults, not errors."""
    facts = _inspect(record.image, record.group)
    try:
        mask = read_label(record.image, record.mask)
    except EndosegError as error:
        fault = Fault(kind="mask", path=record.mask, message=error.message)
        return replace(facts, foreground=None, faults=(*facts.faults, fault))
    faults = facts.faults
    if facts.size is not None and mask.shape != facts.size:
        faults = (*faults, _size_fault(record, facts.size, mask.shape))
    unclear = record.mask if _is_unclear(record, facts.size, mask.shape) else None
    return replace(facts, foreground=float(mask.mean()), faults=faults, mask=unclear)


def inspect_unlabeled(record: UnlabeledRecord) -> FrameFacts:
    """Read an unlabelled frame."""
    return _inspect(record.image, record.group)


def summarise(facts: Sequence[FrameFacts], frames: int, groups: int) -> SetFacts:
    """Summarise what was read of a set that has `frames` frames from `groups` patients or videos."""
    sizes = Counter(f"{fact.size[1]}x{fact.size[0]}" for fact in facts if fact.size is not None)
    by_group: dict[str, list[FrameFacts]] = defaultdict(list)
    for fact in facts:
        by_group[fact.group].append(fact)
    per_group = {group: found for group, of in sorted(by_group.items()) if (found := _foreground(of)) is not None}
    return SetFacts(
        frames=frames,
        read=len(facts),
        groups=groups,
        sizes=dict(sizes.most_common()),
        foreground=_foreground(facts),
        per_group=per_group if len(per_group) > 1 else {},
    )


def _inspect(image: Path, group: str) -> FrameFacts:
    try:
        pixels = read_image(image)
    except EndosegError as error:
        fault = Fault(kind="unreadable", path=image, message=error.message)
        return FrameFacts(
            image=image, group=group, size=None, digest="", thumbnail=None, foreground=None, faults=(fault,)
        )
    small = thumbnail(pixels)
    return FrameFacts(
        image=image,
        group=group,
        size=(pixels.shape[0], pixels.shape[1]),
        # Black frames are equal without being the same picture.
        digest="" if small.min() == small.max() else pixel_digest(pixels),
        thumbnail=small,
        foreground=None,
        faults=(),
    )


def _is_unclear(record: LabeledRecord, shown: tuple[int, int] | None, found: tuple[int, ...]) -> bool:
    """Whether it cannot be told if a mask was drawn on its picture as it is stored, or as EXIF has it shown."""
    if shown is None or found != shown or not is_image(record.mask):
        return False
    turn = orientation_of(record.image)
    could_be_stored = turn in UNTURNED_SIDES or shown[0] == shown[1]
    return turn != 1 and could_be_stored and orientation_of(record.mask) != turn


def _size_fault(record: LabeledRecord, expected: tuple[int, int], found: tuple[int, ...]) -> Fault:
    turned = ""
    if found[::-1] == expected:
        is_shown_so = orientation_of(record.image) not in UNTURNED_SIDES
        why = "EXIF turns the image, so turn the mask too" if is_shown_so else "was one of the two rotated?"
        turned = f", its sides swapped: {why}"
    message = (
        f"expected a mask of {expected[1]}x{expected[0]} like its image {record.image}, "
        f"found {found[1]}x{found[0]}{turned}: {record.mask}"
    )
    return Fault(kind="size", path=record.mask, message=message)


def _foreground(facts: Sequence[FrameFacts]) -> ForegroundFacts | None:
    shares = [fact.foreground for fact in facts if fact.foreground is not None]
    if not shares:
        return None
    lesions = [share for share in shares if share > 0]
    low, middle, high = np.quantile(lesions, (0.25, 0.5, 0.75)).tolist() if lesions else (0.0, 0.0, 0.0)
    return ForegroundFacts(
        masks=len(shares), with_lesion=len(lesions), quartiles=(low, middle, high) if lesions else None
    )
