"""How a picture file says that it is to be turned or mirrored before it is shown: the orientation of EXIF."""

from __future__ import annotations

import re
import struct
from pathlib import Path

UNTURNED_SIDES = (1, 2, 3, 4)
"""Orientations that leave width and height as they are: as stored, mirrored, upside down, both."""
_ORIENTATION = 0x0112
# What stands before the TIFF header of EXIF in a JPEG, a PNG and a WebP; a TIFF begins with it.
_HEADER = re.compile(rb"(?:^|Exif\0\0|eXIf|EXIF.{4})(II\*\0|MM\0\*)", re.DOTALL)


def orientation_of(path: Path) -> int:
    """Return EXIF's orientation, 1 (shown as stored) to 8; 1 also for a file that has none or cannot be read."""
    try:
        content = path.read_bytes()
    except OSError:
        return 1
    header = _HEADER.search(content)
    if header is None:
        return 1
    try:
        found = _first_directory(content[header.start(1) :]).get(_ORIENTATION, 1)
    except struct.error:
        return 1
    return found if 1 <= found <= 8 else 1


def _first_directory(exif: bytes) -> dict[int, int]:
    """Return the tags of one short number in EXIF's first directory; raises struct.error where it is cut off."""
    order = "<" if exif[:1] == b"I" else ">"
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    entries = (struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * index) for index in range(count))
    return {tag: value for tag, kind, number, value in entries if (kind, number) == (3, 1)}
