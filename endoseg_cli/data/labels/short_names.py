"""What tables call files: paths may name patients, so no more of them is told than must be."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def short_names(files: Sequence[tuple[Path, int]]) -> list[str]:
    """Return a name for each path: its last parts, as many as are given with it.

    Those that would have the same name get as many folders before it as tell them apart.
    """
    # Links are not followed: names are those that a person gave.
    paths = [Path(os.path.normpath(path.absolute())) for path, _ in files]
    lengths = [count for _, count in files]
    while True:
        names = ["/".join(path.parts[-length:]) for path, length in zip(paths, lengths, strict=True)]
        counts = Counter(names)
        longer = [
            min(length + (counts[name] > 1), len(path.parts))
            for name, length, path in zip(names, lengths, paths, strict=True)
        ]
        if longer == lengths:
            return names
        lengths = longer
