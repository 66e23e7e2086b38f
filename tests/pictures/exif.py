"""Pictures that say who, when and where: JPEG, PNG and WebP with EXIF (GPS, and a quarter turn), comments, XMP."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

from tests.video.rendering import Picture

SECRET = b"Mueller"
SIDEWAYS = 6
"""EXIF's number for a picture that is to be turned by a quarter, clockwise."""


def exif(turn: int = SIDEWAYS) -> bytes:
    """EXIF with how the picture is turned, a description, and a place by GPS."""
    count, start = 3, 8
    text = SECRET + b"\0"
    after = start + 2 + 12 * count + 4
    gps = after + len(text)
    entries = struct.pack("<HHII", 0x010E, 2, len(text), after)
    entries += struct.pack("<HHIHH", 0x0112, 3, 1, turn, 0)
    entries += struct.pack("<HHII", 0x8825, 4, 1, gps)
    place = struct.pack("<H", 1) + struct.pack("<HHI4s", 0x0001, 2, 2, b"N\0\0\0") + bytes(4)
    return b"II*\0" + struct.pack("<I", start) + struct.pack("<H", count) + entries + bytes(4) + text + place


def told_jpeg(picture: Picture, turn: int = SIDEWAYS) -> bytes:
    """A JPEG of an RGB picture with EXIF, XMP, a comment, and something behind its end."""
    plain = _encoded(".jpg", picture)
    parts = [(0xE1, b"Exif\0\0" + exif(turn)), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET), (0xFE, SECRET)]
    told = b"".join(struct.pack(">BBH", 0xFF, kind, len(text) + 2) + text for kind, text in parts)
    return plain[:2] + told + plain[2:] + SECRET


def told_png(picture: Picture, turn: int = SIDEWAYS) -> bytes:
    """A PNG with EXIF, a text, and a date."""
    plain = _encoded(".png", picture)
    told = (
        _chunk(b"eXIf", exif(turn))
        + _chunk(b"tEXt", b"Author\0" + SECRET)
        + _chunk(b"tIME", b"\x07\xe8\x01\x02\x03\x04\x05")
    )
    return plain[:33] + told + plain[33:]


def told_webp(picture: Picture, turn: int = SIDEWAYS) -> bytes:
    """A lossless WebP with EXIF and XMP."""
    plain = _encoded(".webp", picture)
    height, width = picture.shape[:2]
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    told = [(b"VP8X", bytes([0x0C, 0, 0, 0]) + size), (b"EXIF", exif(turn)), (b"XMP ", SECRET)]
    body = plain[12:].join(
        b"".join(kind + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2) for kind, text in chunks)
        for chunks in (told[:1], told[1:])
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _encoded(kind: str, picture: Picture) -> bytes:
    return bytes(cv2.imencode(kind, np.ascontiguousarray(picture[..., ::-1]))[1].tobytes())


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
