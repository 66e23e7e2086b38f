"""A private folder in which outputs are written before they go to their final places, each where it will lie there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from endoseg_cli.inference.inputs.addresses import called, is_address, scheme_of
from endoseg_cli.inference.inputs.sources import Source
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.part_file import PART_ENDING


class Stage:
    """Final places (paths, addresses) below one folder: files keep their places to each other, so links are right."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._anchors: dict[str, str] = {}

    def inside(self, place: Path) -> Path:
        """Return where a file that will lie at `place`, absolute or an address, is written."""
        anchor = f"{scheme_of(place)}:/" if is_address(place) else place.anchor
        name = re.sub(r"\W", "_", anchor)
        self._anchors[name] = anchor
        return self._root / name / str(place)[len(anchor) :].lstrip("/\\")

    def final(self, staged: Path) -> Path:
        """Return where a file will lie; one that is not in here stays where it is."""
        if not staged.is_relative_to(self._root):
            return staged
        name, *rest = staged.relative_to(self._root).parts
        return Path(self._anchors[name], *rest)

    def files(self) -> Iterator[Path]:
        """Yield the finished files in here, in the order of their names."""
        for path in sorted(self._root.rglob("*")):
            if path.is_file() and not path.name.endswith(PART_ENDING):
                yield path

    def told(self, text: str) -> str:
        """Return a sentence in which the files in here are called by their final places."""
        for name, anchor in self._anchors.items():
            text = text.replace(f"{self._root / name}/", anchor if anchor.endswith("/") else f"{anchor}/")
        return called(text)


def absolute(targets: Targets) -> Targets:
    """Return the same inputs and outputs, their paths from the root on, as other machines need them."""
    source = targets.source
    pictures = tuple(_absolute(path) for path in source.pictures)
    return _moved(targets, replace(source, path=_absolute(source.path), pictures=pictures), _absolute)


def staged(targets: Targets, stage: Stage, source: Path) -> Targets:
    """Return the outputs inside of a stage, for the same input at the path `source`; all are absolute."""
    return _moved(targets, replace(targets.source, path=source), stage.inside)


def _absolute(path: Path) -> Path:
    return path if is_address(path) else path.absolute()


def _moved(targets: Targets, source: Source, move: Callable[[Path], Path]) -> Targets:
    def moved(place: Path | None) -> Path | None:
        return None if place is None else move(place)

    return replace(
        targets,
        source=source,
        masks=moved(targets.masks),
        overlay=moved(targets.overlay),
        mask_pictures=moved(targets.mask_pictures),
        probabilities=moved(targets.probabilities),
        frames=moved(targets.frames),
        report=moved(targets.report),
    )
