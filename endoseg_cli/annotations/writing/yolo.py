"""Write YOLO segmentation labels: https://docs.ultralytics.com/datasets/segment/."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from endoseg_cli.annotations.shapes.polygons import keyhole
from endoseg_cli.annotations.writing.regions import AnnotatedFrame, Region
from endoseg_cli.annotations.writing.writer import AnnotationWriter
from endoseg_cli.part_file import write_whole


class YoloWriter(AnnotationWriter):
    """labels/NAME.txt per frame and data.yaml in a folder, to which images/ belongs; empty where there is no lesion.

    A folder that is called labels itself takes the files, and data.yaml goes beside it.

    YOLO's polygons have no holes: thin cuts lead to them. Its labels have no place for a score.
    """

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._labels, self._class_names = labels_folder(folder), class_names

    def write(self, frame: AnnotatedFrame) -> None:
        """Write a frame's labels; raises OutputError."""
        lines = "".join(_line(region, frame.size) for region in frame.regions)
        write_whole(self._labels / frame.name.with_suffix(".txt"), lines)

    def finish(self) -> None:
        """Write data.yaml, which YOLO trains from; without a `path`, it looks beside the file, wherever it is run."""
        names = "".join(f"  {index}: {json.dumps(name)}\n" for index, name in enumerate(self._class_names))
        write_whole(self._labels.parent / "data.yaml", f"train: images\nval: images\nnames:\n{names}")

    def abort(self) -> None:
        """Leave data.yaml out: the labels written are complete, the set is not."""


def labels_folder(folder: Path) -> Path:
    """Return where the labels of a set in `folder` lie."""
    return folder if folder.name == "labels" else folder / "labels"


def _line(region: Region, size: tuple[int, int]) -> str:
    shares = keyhole(region.outline) / np.array([size[1], size[0]])
    return f"{region.class_index} {' '.join(f'{share:.6f}' for share in shares.ravel())}\n"
