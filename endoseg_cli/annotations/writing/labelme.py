"""Write LabelMe files: https://github.com/wkentaro/labelme."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from endoseg_cli.annotations.shapes.polygons import keyhole
from endoseg_cli.annotations.writing.regions import AnnotatedFrame
from endoseg_cli.annotations.writing.writer import AnnotationWriter, rounded_points
from endoseg_cli.part_file import write_whole

LABELME_VERSION = "5.5.0"
"""The version whose files these are."""


class LabelMeWriter(AnnotationWriter):
    """A JSON file per frame below a folder, named like the picture, also where there is no lesion.

    LabelMe's polygons have no holes: thin cuts lead to them. It keeps the `score` when it saves.
    """

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._class_names = folder, class_names

    def write(self, frame: AnnotatedFrame) -> None:
        """Write a frame's file; raises OutputError."""
        path = self._folder / frame.name.with_suffix(".json")
        content: dict[str, Any] = {
            "version": LABELME_VERSION,
            "flags": {},
            "shapes": [
                {
                    "label": self._class_names[region.class_index],
                    "points": rounded_points(keyhole(region.outline)),
                    "group_id": None,
                    "description": "",
                    "shape_type": "polygon",
                    "flags": {},
                    "score": round(region.score, 4),
                }
                for region in frame.regions
            ],
            "imagePath": _image_path(frame, path),
            "imageData": None,
            "imageHeight": frame.size[0],
            "imageWidth": frame.size[1],
        }
        write_whole(path, _text(content))

    def finish(self) -> None:
        """Do nothing: every file is complete."""

    def abort(self) -> None:
        """Do nothing: every file is complete."""


def _image_path(frame: AnnotatedFrame, path: Path) -> str:
    """Return the picture's path from the file; a picture that was not written is expected beside the file."""
    if frame.picture is None:
        return frame.name.name
    try:
        return PurePath(os.path.relpath(frame.picture.absolute(), path.parent.absolute())).as_posix()
    except ValueError:  # on another drive
        return frame.picture.absolute().as_posix()


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
