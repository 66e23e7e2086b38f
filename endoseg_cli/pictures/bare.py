"""Take out of a picture file what it says beside its pixels (who, when, where), without touching the pixels.

Of EXIF, how the picture is turned stays: without it, it would be shown on its side.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"sBIT", b"bKGD", b"pHYs"}
_WEBP_KEPT = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH"}
_WEBP_EXIF, _WEBP_TOLD = 0x08, 0x08 | 0x04 | 0x20
"""Flags of a WebP's header: EXIF; EXIF, XMP and a colour profile."""
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
_START_OF_SCAN, _END, _COMMENT = 0xDA, 0xD9, 0xFE
_END_MARK = b"\xff\xd9"


def without_metadata(data: bytes) -> bytes | None:
    """Return a JPEG, PNG or WebP file without metadata; None for another format, or a file that is not whole."""
    try:
        if data[:2] == b"\xff\xd8":
            return _bare_jpeg(data)
        if data[:8] == _PNG:
            return _bare_png(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _bare_webp(data)
    except (struct.error, IndexError, ValueError):
        pass
    return None


def _bare_jpeg(data: bytes) -> bytes:
    parts = [data[:2]]
    turn = 1
    for marker, start, end in _jpeg_segments(data):
        segment = _END_MARK if marker == _END else data[start:end]
        content = segment[4:]
        if marker == 0xE1 and content.startswith(_EXIF):
            turn = turn if turn != 1 else _orientation(content[len(_EXIF) :])
        elif marker == 0xE0 and content.startswith(b"JFIF\0"):
            parts.append(b"\xff\xe0\0\x10" + content[:12] + b"\0\0")  # without its small picture
        elif marker == 0xEE and content.startswith(b"Adobe"):
            parts.append(segment)  # says how colours are stored
        elif not 0xE0 <= marker <= 0xEF and marker != _COMMENT:
            parts.append(segment)
    if turn != 1:
        exif = _EXIF + _exif_of(turn)
        parts.insert(1, b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
    return b"".join(parts)


def jpeg_end(data: bytes) -> int:
    """Return where the end mark of a JPEG stands: not that of a small picture inside it, nor of a file behind it.

    -1 where there is none.
    """
    start = 0
    with suppress(struct.error, IndexError):
        for _, at, _ in _jpeg_segments(data):
            start = at
    return data.find(_END_MARK, start)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each marker, and where its bytes begin and end, with the pixels that follow it, up to the end mark.

    In a file that was cut off there is none.
    """
    at = 2
    while at + 1 < len(data):
        while data[at + 1] == 0xFF:  # bytes that only fill
            at += 1
        marker = data[at + 1]
        if data[at] != 0xFF or marker == _END:
            yield _END, at, at + 2
            return
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if marker == _START_OF_SCAN:
            end = _end_of_scan(data, end)
        if end > len(data):
            raise IndexError("a segment is cut off")
        yield marker, at, end
        at = end


def _end_of_scan(data: bytes, at: int) -> int:
    """Return where the next marker stands that is neither a stuffed byte nor one inside a scan, or the file's end."""
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 1:
        following = data[at + 1]
        if following != 0 and following != 0xFF and not 0xD0 <= following <= 0xD7:
            return at
        at += 1 if following == 0xFF else 2
    return len(data)


def _bare_png(data: bytes) -> bytes:
    parts = [_PNG]
    turn = 1
    at = len(_PNG)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"eXIf":
            turn = _orientation(data[at + 8 : at + 8 + length])
        elif kind in _PNG_KEPT:
            parts.append(data[at : at + length + 12])
        if kind == b"IEND":
            break
        at += length + 12
    if turn != 1:
        parts.insert(2, _png_chunk(b"eXIf", _exif_of(turn)))
    return b"".join(parts)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _bare_webp(data: bytes) -> bytes:
    chunks: list[tuple[bytes, bytes]] = []
    turn = 1
    at, end = 12, 8 + struct.unpack_from("<I", data, 4)[0]
    while at < min(end, len(data)):
        kind, length = struct.unpack_from("<4sI", data, at)
        content = data[at + 8 : at + 8 + length]
        if kind == b"EXIF":
            turn = _orientation(content.removeprefix(_EXIF))
        elif kind in _WEBP_KEPT:
            chunks.append((kind, content))
        at += 8 + length + length % 2
    if chunks[0][0] == b"VP8X":
        flags = chunks[0][1][0] & ~_WEBP_TOLD | (_WEBP_EXIF if turn != 1 else 0)
        chunks[0] = b"VP8X", bytes([flags]) + chunks[0][1][1:]
    if turn != 1:
        chunks.append((b"EXIF", _exif_of(turn)))
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2) for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _orientation(exif: bytes) -> int:
    """Return how EXIF says that the picture is turned, 1 to 8; 1 (upright) where it does not say."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        start = struct.unpack_from(order + "I", exif, 4)[0]
        for number in range(struct.unpack_from(order + "H", exif, start)[0]):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * number)
            if tag == _ORIENTATION:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _exif_of(turn: int) -> bytes:
    """Return EXIF that holds how the picture is turned, and nothing else."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, turn, 0, 0)
