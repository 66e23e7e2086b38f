"""Frames that both train and validate, the same ones or nearly."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from endoseg_cli.data.labels.faults import Fault
from endoseg_cli.data.sets.frame_facts import FrameFacts
from endoseg_cli.data.sets.similarity import near_duplicates

SHOWN_PAIRS = 3


def same_pictures(train: Sequence[FrameFacts], val: Sequence[FrameFacts], title: str) -> list[Fault]:
    """Return a fault for every validation frame whose exact pixels are also in `train`, which is called `title`."""
    known = {fact.digest: fact.image for fact in train if fact.digest}
    return [_fault(title, known[fact.digest], fact.image) for fact in val if fact.digest in known]


def similar_pictures(train: Sequence[FrameFacts], val: Sequence[FrameFacts], title: str) -> str | None:
    """Return a warning if validation frames look almost like frames of `train`, None if there are none."""
    ours = [fact for fact in train if fact.thumbnail is not None]
    theirs = [fact for fact in val if fact.thumbnail is not None]
    pairs = [
        (ours[i].image, theirs[j].image, correlation)
        for i, j, correlation in near_duplicates(
            [fact.thumbnail for fact in ours if fact.thumbnail is not None],
            [fact.thumbnail for fact in theirs if fact.thumbnail is not None],
        )
        if not ours[i].digest or ours[i].digest != theirs[j].digest
    ]
    if not pairs:
        return None
    shown = "; ".join(f"{ours} and {theirs} ({100 * like:.0f} % alike)" for ours, theirs, like in pairs[:SHOWN_PAIRS])
    frames = len({theirs for _, theirs, _ in pairs})
    return f"{frames} validation frames look almost like {title} ones, so validation figures may flatter: {shown}"


def same_files(train: Sequence[Path], val: Sequence[Path], title: str) -> list[Fault]:
    """Return a fault for every validation file whose bytes are also in `train`: no decoding, few files read."""
    return [_fault(title, original, path) for path, original in copies_of(train, val).items()]


def copies_of(originals: Sequence[Path], files: Sequence[Path]) -> dict[Path, Path]:
    """Return the files whose bytes are also among `originals`, each with the one it equals; empty files equal none."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in originals:
        by_size[_size(path)].append(path)
    candidates = [path for path in files if _size(path) in by_size and _size(path) > 0]
    partners = {partner for path in candidates for partner in by_size[_size(path)]}
    known = {_hash(partner): partner for partner in sorted(partners)}
    return {path: known[key] for path in candidates if (key := _hash(path)) in known}


def _fault(title: str, train: Path, val: Path) -> Fault:
    message = f"expected no validation frame among the {title} ones, found the same picture: {val} and {train}"
    return Fault(kind="leak", path=val, message=message)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _hash(path: Path) -> bytes:
    """Hash a file's bytes; a file that cannot be read equals itself alone (reading it reports it elsewhere)."""
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
    except OSError:
        return str(path).encode()
