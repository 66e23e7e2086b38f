"""The formats by name: where they are written to, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from endoseg_cli.annotations.writing.coco import CocoWriter
from endoseg_cli.annotations.writing.cvat import CvatWriter
from endoseg_cli.annotations.writing.labelme import LabelMeWriter
from endoseg_cli.annotations.writing.names import AnnotationFormat
from endoseg_cli.annotations.writing.writer import AnnotationWriter
from endoseg_cli.annotations.writing.yolo import YoloWriter, labels_folder
from endoseg_cli.errors import OutputError, UsageError

SUFFIXES: dict[AnnotationFormat, str] = {"coco": ".json", "cvat": ".xml"}
"""Endings of the formats that are one file; the others are a folder."""


@dataclass(frozen=True, kw_only=True)
class AnnotationConfig:
    """Where annotations go."""

    path: Path
    """The file, or for LabelMe and YOLO the folder."""
    format: AnnotationFormat
    """For which tool."""
    overwrite: bool = False
    """Replace files that exist."""

    def check(self) -> None:
        """Raise UsageError where the path does not fit the format, OutputError where something lies there already."""
        if self.format in SUFFIXES:
            self._check_file(SUFFIXES[self.format])
        else:
            self._check_folder()

    def open(self, class_names: Sequence[str]) -> AnnotationWriter:
        """Return the writer; raises OutputError where it cannot write."""
        match self.format:
            case "coco":
                return CocoWriter(self.path, class_names)
            case "cvat":
                return CvatWriter(self.path, class_names)
            case "labelme":
                return LabelMeWriter(self.path, class_names)
            case "yolo":
                return YoloWriter(self.path, class_names)

    def _check_file(self, suffix: str) -> None:
        if self.path.is_dir():
            hint = f"name a file in it, such as {self.path / ('annotations' + suffix)}"
            raise OutputError(f"--annotations: {self.format} is one file, found a folder: {self.path}", hint=hint)
        if self.path.suffix.lower() != suffix:
            raise UsageError(f"--annotations {self.path}: expected an ending of {suffix} for {self.format}")
        if self.path.exists() and not self.overwrite:
            raise OutputError(f"the output exists already: {self.path}", hint="add --overwrite, or choose another name")

    def _check_folder(self) -> None:
        if self.path.suffix.lower() in SUFFIXES.values() or self.path.is_file():
            message = f"--annotations {self.path}: expected a folder, {self.format} has a file for every frame"
            raise UsageError(message, hint="name a folder")
        is_labelme = self.format == "labelme"
        place, pattern = (self.path, "*.json") if is_labelme else (labels_folder(self.path), "**/*.txt")
        if not self.overwrite and any(place.glob(pattern)):
            hint = "add --overwrite, or choose another folder"
            raise OutputError(f"the folder holds annotations already: {self.path}", hint=hint)


def parse_format(name: str | None, path: Path) -> AnnotationFormat:
    """Return the format asked for, or the one that the file's ending says; raises UsageError where neither does."""
    known: tuple[AnnotationFormat, ...] = get_args(AnnotationFormat)
    for choice in known:
        if name == choice or (name is None and SUFFIXES.get(choice) == path.suffix.lower()):
            return choice
    raise UsageError(
        f"--annotations {path}: expected an --annotation-format, found {name or 'none'}",
        hint=f"add --annotation-format {'|'.join(known)}",
    )
