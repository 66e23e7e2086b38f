"""Read every file of a data set in parallel and list every fault at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from endoseg_cli.data.labels.faults import Fault, raise_faults
from endoseg_cli.data.labels.layout import LabeledRecord, UnlabeledRecord
from endoseg_cli.data.labels.mask_reader import shows_lesion
from endoseg_cli.data.sets.contact_sheet import write_contact_sheet
from endoseg_cli.data.sets.frame_facts import FrameFacts, SetFacts, inspect_labeled, inspect_unlabeled, summarise
from endoseg_cli.data.sets.leaks import same_files, same_pictures, similar_pictures
from endoseg_cli.data.sets.sources import SourcesConfig, gather_sources, lacks_for_training
from endoseg_cli.pictures.redaction import NOTHING, RedactConfig

CHEAP_SAMPLE = 32
"""How many frames of each set a cheap check reads."""
MOSTLY_FOREGROUND = 0.5
"""A lesion that covers more than this in the median frame makes one ask whether the masks are inverted."""
Record = TypeVar("Record", LabeledRecord, UnlabeledRecord)
Progress = Callable[[int, int], None]
"""Called with the number of frames read so far and of those to read."""


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """What a data check found."""

    labeled: SetFacts
    """The frames to train on with their masks."""
    val: SetFacts
    """The frames to validate on."""
    unlabeled: SetFacts
    """The frames to train on without masks."""
    negatives: SetFacts
    """The frames to train on that are known to show no lesion."""
    faults: tuple[Fault, ...]
    """Everything that must be put right before training."""
    warnings: tuple[str, ...]
    """What may be meant so, but should be known."""
    cheap: bool
    """True if only a sample of the files was read."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON takes it."""
        faults = [{"kind": fault.kind, "path": str(fault.path), "message": fault.message} for fault in self.faults]
        sets = {name: asdict(getattr(self, name)) for name in ("labeled", "val", "unlabeled", "negatives")}
        return {"ok": not self.faults, "cheap": self.cheap, **sets, "faults": faults, "warnings": [*self.warnings]}

    def raise_faults(self) -> None:
        """Raise InputError if there are faults; the message lists the first ten and their number."""
        raise_faults(self.faults, hint="endoseg check lists every fault of the data")


def check_data(
    labeled: Sequence[LabeledRecord],
    unlabeled: Sequence[UnlabeledRecord] = (),
    val: Sequence[LabeledRecord] = (),
    *,
    negatives: Sequence[UnlabeledRecord] = (),
    faults: Iterable[Fault] = (),
    warnings: Iterable[str] = (),
    cheap: bool = False,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> DataReport:
    """Read the frames of the three sets and report counts, sizes, foreground, and every fault.

    `faults` and `warnings` of finding the records come first in the report. A cheap check reads 32 frames of each
    set, and compares training and validation files by their bytes; a full one compares all of them by their pixels.
    `workers` threads read (one per core if None).
    """
    picked = (_sample(labeled, cheap), _sample(val, cheap), _sample(unlabeled, cheap), _sample(negatives, cheap))
    read = _Reader(workers, sum(len(records) for records in picked), on_progress)
    facts = (
        read.all(inspect_labeled, picked[0]),
        read.all(inspect_labeled, picked[1]),
        read.all(inspect_unlabeled, picked[2]),
        read.all(inspect_unlabeled, picked[3]),
    )
    found = [*faults, *(fault for of in facts for fact in of for fault in fact.faults)]
    found += _no_foreground(labeled, facts[0], "labelled") + _no_foreground(val, facts[1], "validation")
    remarks = [*warnings, *_inverted(facts[0], "labelled"), *_inverted(facts[1], "validation")]
    remarks += _turned([*facts[0], *facts[1]])
    trained = (
        ("labelled", facts[0], labeled),
        ("unlabelled", facts[2], unlabeled),
        ("lesion-free", facts[3], negatives),
    )
    for title, train, records in trained:
        if cheap:
            found += same_files([record.image for record in records], [record.image for record in val], title)
        else:
            found += same_pictures(train, facts[1], title)
            remarks += filter(None, [similar_pictures(train, facts[1], title)])
    return DataReport(
        labeled=summarise(facts[0], len(labeled), _count_groups(labeled)),
        val=summarise(facts[1], len(val), _count_groups(val)),
        unlabeled=summarise(facts[2], len(unlabeled), _count_groups(unlabeled)),
        negatives=summarise(facts[3], len(negatives), _count_groups(negatives)),
        faults=tuple(found),
        warnings=tuple(remarks),
        cheap=cheap,
    )


def check_sources(
    config: SourcesConfig,
    *,
    contact_sheet: Path | None = None,
    redact: RedactConfig = NOTHING,
    on_video: Callable[[Path], None] | None = None,
    on_progress: Progress | None = None,
) -> DataReport:
    """Find the data that `config` names, read all of it, and write a contact sheet if a path is given for one.

    `redact` is what is blanked on it. Raises what `gather_sources` and `write_contact_sheet` raise.
    """
    sources = gather_sources(config, on_video)
    lacks = lacks_for_training(sources)
    report = check_data(
        sources.labeled,
        sources.unlabeled,
        sources.val,
        negatives=sources.negatives,
        faults=sources.faults,
        warnings=[*sources.warnings, *(f"{what}: {hint}" for what, hint in lacks)],
        on_progress=on_progress,
    )
    if contact_sheet is not None:
        write_contact_sheet(contact_sheet, sources.labeled, sources.unlabeled, sources.val, redact=redact)
    return report


class _Reader:
    """Reads frames in threads (OpenCV decodes without holding Python's lock) and counts them."""

    def __init__(self, workers: int | None, total: int, on_progress: Progress | None) -> None:
        self.workers = workers or os.cpu_count() or 1
        self.total, self.done, self.on_progress = total, 0, on_progress

    def all(self, inspect: Callable[[Record], FrameFacts], records: Sequence[Record]) -> list[FrameFacts]:
        executor = ThreadPoolExecutor(self.workers)
        facts: list[FrameFacts] = []
        try:
            for fact in executor.map(inspect, records):
                facts.append(fact)
                self.done += 1
                if self.on_progress is not None:
                    self.on_progress(self.done, self.total)
        finally:
            # Ctrl-C must not wait for thousands of files.
            executor.shutdown(cancel_futures=True)
        return facts


def _sample(records: Sequence[Record], cheap: bool) -> list[Record]:
    """Return all records, or for a cheap check some, evenly spread."""
    if not cheap or len(records) <= CHEAP_SAMPLE:
        return list(records)
    return [records[position * len(records) // CHEAP_SAMPLE] for position in range(CHEAP_SAMPLE)]


def _no_foreground(records: Sequence[LabeledRecord], facts: Sequence[FrameFacts], title: str) -> list[Fault]:
    """Return a fault if no mask of a set has foreground; a cheap check reads on until it has seen one that has."""
    shares = [fact.foreground for fact in facts if fact.foreground is not None]
    if not shares or any(shares):
        return []
    if len(facts) < len(records) and any(shows_lesion(record.image, record.mask) for record in records):
        return []
    folder = records[0].mask.parent
    message = f"expected a lesion in some {title} mask, found {len(records)} masks without any foreground in {folder}"
    return [Fault(kind="foreground", path=folder, message=message)]


def _inverted(facts: Sequence[FrameFacts], title: str) -> list[str]:
    shares = sorted(fact.foreground for fact in facts if fact.foreground)
    if not shares or shares[len(shares) // 2] <= MOSTLY_FOREGROUND:
        return []
    share = 100 * shares[len(shares) // 2]
    return [f"the median {title} mask is {share:.0f} % foreground: are the masks inverted (white must be the lesion)?"]


def _turned(facts: Sequence[FrameFacts]) -> list[str]:
    unclear = [fact for fact in facts if fact.mask is not None]
    if not unclear:
        return []
    frames = "1 frame is" if len(unclear) == 1 else f"{len(unclear)} frames are"
    return [
        f"{frames} shown turned or mirrored (EXIF) and the mask is not, first {unclear[0].image} and {unclear[0].mask}:"
        " a mask is taken as drawn on the frame as it is shown; if it was drawn on the frame as stored, turn it too"
    ]


def _count_groups(records: Sequence[LabeledRecord] | Sequence[UnlabeledRecord]) -> int:
    return len({record.group for record in records})
