"""Tell a video file that is shorter than its own parts say: AVI, Matroska and MP4 keep their sizes in their heads."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_LARGE_BOXES = (b"mdat", b"moov", b"moof")
_HEADER = 8
"""Bytes of the kind and the length of an AVI's or MP4's part."""


def lacks_bytes(path: Path) -> bool:
    """Whether the end of a part lies behind that of the file; False for other files, and for what is no file."""
    if not path.is_file():
        return False
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_HEADER)
        file.seek(0)
        if start.startswith(b"RIFF"):
            return _end_of_avi(file, size) > size + _HEADER  # some writers count the header in
        if start.startswith(_EBML):
            return _end_of_matroska(file) > size
        return _end_of_mp4(file, size) > size


def _end_of_avi(file: BinaryIO, size: int) -> int:
    """Return where the last RIFF ends; large files have several."""
    at = 0
    while at + _HEADER <= size:
        file.seek(at)
        kind, length = file.read(4), int.from_bytes(file.read(4), "little")
        if kind != b"RIFF":
            return 0
        at += _HEADER + length
    return at


def _end_of_mp4(file: BinaryIO, size: int) -> int:
    """Return where the last box that holds frames or their index ends; 0 where it is the file's end by definition."""
    at = end = 0
    while at + _HEADER <= size:
        file.seek(at)
        length, kind = int.from_bytes(file.read(4), "big"), file.read(4)
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if length < _HEADER:
            return end
        at += length
        if kind in _LARGE_BOXES:
            end = at
    return end


def _end_of_matroska(file: BinaryIO) -> int:
    """Return where the segment ends; 0 where it does not say, as in a live recording."""
    file.seek(len(_EBML))
    length = _number(file)
    if length is None:
        return 0
    file.seek(length, 1)
    if file.read(len(_SEGMENT)) != _SEGMENT:
        return 0
    length = _number(file)
    return 0 if length is None else file.tell() + length


def _number(file: BinaryIO) -> int | None:
    """Read a number of EBML: the zeros before its first one bit say how many bytes follow. None for no number."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    rest = file.read(more)
    value = int.from_bytes(bytes([first[0] & (0x7F >> more)]) + rest, "big")
    unknown = (1 << 7 * (more + 1)) - 1
    return None if value == unknown or len(rest) < more else value
