"""A contact sheet: one PNG on which a person sees at a glance what the data are and whether the masks fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.labels.layout import LabeledRecord, UnlabeledRecord
from endoseg_cli.data.labels.mask_reader import read_label
from endoseg_cli.errors import EndosegError, OutputError
from endoseg_cli.pictures.images import read_image, write_png
from endoseg_cli.pictures.redaction import NOTHING, RedactConfig

COLUMNS = 6
TILE = (180, 240)
"""Height and width of a frame on the sheet, in pixels."""
CAPTION_HEIGHT = 22
HEADING_HEIGHT = 40
GAP = 8
PAPER, INK = (255, 255, 255), (40, 40, 40)
CONTOUR, CONTOUR_RIM = (90, 255, 90), (0, 0, 0)
Picture = NDArray[np.uint8]
Record = TypeVar("Record", LabeledRecord, UnlabeledRecord)


def write_contact_sheet(
    path: Path,
    labeled: Sequence[LabeledRecord],
    unlabeled: Sequence[UnlabeledRecord] = (),
    val: Sequence[LabeledRecord] = (),
    *,
    frames: int = 24,
    redact: RedactConfig = NOTHING,
) -> None:
    """Write a PNG of up to `frames` frames of each set, evenly spread, with the outline of each lesion and its share.

    Parts of them are blanked as `redact` says. Frames that cannot be read are shown as such. Raises OutputError, and
    UsageError for a box that leaves a frame.
    """
    rows: list[Picture] = []
    for title, records in (("labelled", labeled), ("validation", val)):
        rows += _section(title, records, partial(labeled_tile, redact=redact), frames)
    rows += _section("unlabelled", unlabeled, partial(unlabeled_tile, redact=redact), frames)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}", hint="choose another folder") from error
    write_png(path, np.concatenate(rows or [_heading("no frames")]), compression=6)


def labeled_tile(record: LabeledRecord, redact: RedactConfig = NOTHING) -> Picture:
    """Draw a frame with its lesion's outline and, below, its name and the lesion's share of the picture."""
    try:
        image, mask = read_image(record.image), read_label(record.image, record.mask)
    except EndosegError:
        return _tile(None, f"{record.name}: unreadable")
    image = redact.blanked(image, record.image)
    if mask.shape != image.shape[:2]:
        return _tile(image, f"{record.name}: mask of another size")
    share = f"{100 * mask.mean():.1f} %" if mask.any() else "no lesion"
    return _tile(_outlined(image, mask), f"{record.name}  {share}", keep=len(share) + 2)


def unlabeled_tile(record: UnlabeledRecord, redact: RedactConfig = NOTHING) -> Picture:
    """Draw an unlabelled frame and its name."""
    try:
        image = read_image(record.image)
    except EndosegError:
        return _tile(None, f"{record.name}: unreadable")
    return _tile(redact.blanked(image, record.image), record.name)


def _section(title: str, records: Sequence[Record], draw: Callable[[Record], Picture], frames: int) -> list[Picture]:
    """Return the rows of one set: a heading, then its tiles."""
    if not records:
        return []
    count = min(frames, len(records))
    tiles: list[Picture] = [draw(records[position * len(records) // count]) for position in range(count)]
    rows = [_heading(f"{title}: {count} of {len(records)} frames")]
    blank: Picture = np.full_like(tiles[0], PAPER)
    for start in range(0, count, COLUMNS):
        row: list[Picture] = tiles[start : start + COLUMNS]
        rows.append(np.concatenate(row + [blank] * (COLUMNS - len(row)), axis=1))
    return rows


def _heading(text: str) -> Picture:
    strip = _paper(HEADING_HEIGHT, COLUMNS * (TILE[1] + GAP))
    return _write(strip, text, (GAP, HEADING_HEIGHT - 12), 0.7)


def _tile(image: Picture | None, caption: str, keep: int = 0) -> Picture:
    """Return a frame, shrunk into the tile without distortion, above its caption.

    A caption too long for the tile loses its middle; its last `keep` characters stay.
    """
    tile = _paper(TILE[0] + CAPTION_HEIGHT, TILE[1] + GAP)
    if image is not None:
        small = _fit(image)
        top, left = (TILE[0] - small.shape[0]) // 2, (TILE[1] - small.shape[1]) // 2
        tile[top : top + small.shape[0], left : left + small.shape[1]] = small
    longest = 34
    if len(caption) > longest:
        tail = max(keep + 6, 12)
        caption = f"{caption[: longest - tail - 2]}..{caption[-tail:]}"
    return _write(tile, caption, (2, TILE[0] + 15), 0.4)


def _outlined(image: Picture, mask: NDArray[np.bool_]) -> Picture:
    """Shrink a frame to the tile's size and draw the mask's outline, bright with a dark rim."""
    small = _fit(image).copy()
    size = (small.shape[1], small.shape[0])
    # A lesion of a few pixels must not vanish: any foreground below a pixel of the tile counts.
    shrunk = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.25
    if not shrunk.any():
        shrunk = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    outlines, _ = cv2.findContours(shrunk.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(small, outlines, -1, CONTOUR_RIM, 3, cv2.LINE_AA)
    cv2.drawContours(small, outlines, -1, CONTOUR, 1, cv2.LINE_AA)
    return small


def _fit(image: Picture) -> Picture:
    scale = min(TILE[0] / image.shape[0], TILE[1] / image.shape[1])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(image, size, interpolation=method), dtype=np.uint8)


def _paper(height: int, width: int) -> Picture:
    return np.full((height, width, 3), PAPER, dtype=np.uint8)


def _write(picture: Picture, text: str, origin: tuple[int, int], size: float) -> Picture:
    """Write text; OpenCV's letters are ASCII, others appear as question marks."""
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(picture, plain, origin, cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
    return picture
