"""The per-frame table: one row per frame and class, as CSV or JSON, written while the video runs."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.inference.predict.masks import Segmentation, region_facts
from endoseg_cli.part_file import FinishOrAbort, PartFile
from endoseg_cli.pictures.field_of_view import whole_frame

RECORD_SUFFIXES = (".csv", ".json")


@dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """What the model says of one class in one frame; pixel positions are those of the upright frame."""

    input: str
    """The input file."""
    frame: int
    """Index of the frame in its video, from 0; 0 for a picture."""
    time: float | None
    """Timestamp in seconds; None for a picture."""
    class_name: str
    """The class."""
    foreground_pixels: int
    """Pixels of the mask."""
    raw_foreground_pixels: int
    """Pixels of the mask before refinement; of a frame that was not refined the same."""
    foreground_fraction: float
    """Share of the frame that the mask covers."""
    regions: int
    """Number of 8-connected regions."""
    box_left: int | None
    """Left edge of the largest region, as all box and centroid fields None where there is no region."""
    box_top: int | None
    """Its upper edge."""
    box_width: int | None
    """Its width."""
    box_height: int | None
    """Its height."""
    centroid_x: float | None
    """Column of its centre of mass."""
    centroid_y: float | None
    """Row of its centre of mass."""
    mean_confidence: float | None
    """Mean probability over the mask's pixels; None for an empty mask."""
    mean_uncertainty: float
    """Mean binary entropy of the probability over the whole frame, in nats (at most 0.693), at the networks' size."""
    refined: bool
    """Whether the corrective network refined the frame."""
    isolated: str
    """false_positive or false_negative: the mask, before refinement, comes or goes in this frame alone; else empty."""
    view_left: int
    """Left column of the endoscope's picture, which alone the networks saw; of a frame that was not cropped 0."""
    view_top: int
    """Its top row."""
    view_width: int
    """Its columns; of a frame that was not cropped all."""
    view_height: int
    """Its rows."""
    flags: str
    """Words, separated by spaces: damaged (the decoder had to guess parts of the picture), bf16 or fp16 (what the
    networks computed in, where it was not fp32)."""


def frame_records(
    segmentation: Segmentation, class_names: tuple[str, ...], *, source: str, frame: int, time: float | None, flags: str
) -> list[FrameRecord]:
    """Return one record per class of a frame."""
    records = []
    raw_masks = segmentation.mask if segmentation.raw_mask is None else segmentation.raw_mask
    view = segmentation.field_of_view or whole_frame(*segmentation.mask.shape[1:])
    uncertainty = segmentation.mean_uncertainty
    isolated = segmentation.isolated or (None,) * len(class_names)
    for index, (name, mask) in enumerate(zip(class_names, segmentation.mask, strict=True)):
        facts = region_facts(mask)
        box: tuple[int | None, ...] = facts.box or (None,) * 4
        x, y = facts.centroid or (None, None)
        records.append(
            FrameRecord(
                input=source,
                frame=frame,
                time=time,
                class_name=name,
                foreground_pixels=facts.pixels,
                raw_foreground_pixels=int(np.count_nonzero(raw_masks[index])),
                foreground_fraction=facts.pixels / mask.size,
                regions=facts.regions,
                box_left=box[0],
                box_top=box[1],
                box_width=box[2],
                box_height=box[3],
                centroid_x=x,
                centroid_y=y,
                mean_confidence=float(np.mean(segmentation.probability[index][mask])) if facts.pixels else None,
                mean_uncertainty=uncertainty[index],
                refined=segmentation.raw_mask is not None,
                isolated=isolated[index] or "",
                view_left=view.x,
                view_top=view.y,
                view_width=view.width,
                view_height=view.height,
                flags=flags,
            )
        )
    return records


def check_records_path(path: Path, *, overwrite: bool) -> None:
    """Raise UsageError for an ending that is neither .csv nor .json, OutputError if the file exists."""
    if path.suffix.lower() not in RECORD_SUFFIXES:
        raise UsageError(f"--records {path}: expected an ending of {' or '.join(RECORD_SUFFIXES)}")
    if path.is_dir():
        raise OutputError(f"--records {path} is a folder", hint=f"write to {path / 'records.csv'}")
    if path.exists() and not overwrite:
        raise OutputError(f"the output exists already: {path}", hint="add --overwrite, or choose another name")


class RecordsSink(Protocol):
    """Takes records as they come."""

    def write(self, records: list[FrameRecord]) -> None:
        """Append records; raises OutputError."""


class RecordsWriter(FinishOrAbort):
    """Writes records to `<path>.part` as they come, and renames it in `finish`; after `abort` the part file is whole.

    A .json file holds one list of objects. Raises OutputError when the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._file = PartFile(path)
        self.path, self.part = path, self._file.part
        self._json = path.suffix.lower() == ".json"
        self._rows = 0
        names = [field.name for field in fields(FrameRecord)]
        self._csv = csv.DictWriter(self._file, names, lineterminator="\n")
        if self._json:
            self._file.write("[")
        else:
            self._csv.writeheader()

    def write(self, records: list[FrameRecord]) -> None:
        """Append records."""
        for record in records:
            if self._json:
                self._file.write((",\n" if self._rows else "\n") + json.dumps(_rounded(record)))
            else:
                self._csv.writerow(_rounded(record))
            self._rows += 1

    def finish(self) -> None:
        """Close the file and give it its final name; raises OutputError if that fails."""
        self.abort()
        self._file.finish()

    def abort(self) -> None:
        """Close the part file so that it reads whole, and leave it."""
        try:
            if self._json and not self._file.closed:
                self._file.write("\n]\n")
        finally:
            self._file.close()


def _rounded(record: FrameRecord) -> dict[str, object]:
    """Round what nobody needs in full; six decimals tell every timestamp and share apart."""
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in vars(record).items()}
