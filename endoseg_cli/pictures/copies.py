"""Copies of picture files that leave the house: without what they say beside their pixels, or with parts blanked."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.errors import InputError, OutputError
from endoseg_cli.pictures.bare import without_metadata
from endoseg_cli.pictures.images import JPEG_SUFFIXES, write_bytes
from endoseg_cli.pictures.library_messages import overheard

JPEG_QUALITY = 95
_LOSSLESS = {
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101],
    ".jp2": [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000],
    ".tif": [],
    ".tiff": [],
    ".bmp": [],
    ".png": [cv2.IMWRITE_PNG_COMPRESSION, 1],
}
_BEGINNINGS = {b"BM": ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif", b"\0\0\0\x0cjP": ".jp2", b"\xffO\xffQ": ".jp2"}
Pixels = NDArray[np.uint8]


def copy_picture_file(source: Path, target: Path, *, keep_metadata: bool) -> None:
    """Copy a picture, its pixels as they are, without EXIF, comments and the like unless they are kept.

    JPEG, PNG and WebP keep their compressed pixels; others are written anew, without loss. Raises InputError for a
    file that cannot be read, OutputError for one whose metadata cannot be taken out, or that cannot be written.
    """
    try:
        data = source.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}") from error
    write_bytes(target, data if keep_metadata else _bare(data, source))


def write_picture_like(path: Path, picture: Pixels) -> None:
    """Write a picture (H, W, 3) RGB in the format that the name says, JPEG at quality 95, all others without loss.

    A name that says nothing becomes PNG. Raises OutputError.
    """
    suffix = path.suffix.lower()
    if suffix in JPEG_SUFFIXES:
        kind, options = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    else:
        kind = suffix if suffix in _LOSSLESS else ".png"
        options = _LOSSLESS[kind]
    _, encoded = cv2.imencode(kind, np.ascontiguousarray(picture[..., ::-1]), options)
    write_bytes(path, encoded.tobytes())


def _bare(data: bytes, source: Path) -> bytes:
    bare = without_metadata(data)
    if bare is None:
        bare = _written_anew(data)
    if bare is None or not _same_pixels(bare, data):
        raise OutputError(
            f"cannot copy {source} without its metadata", hint="convert it to PNG, or copy all with --keep-metadata"
        )
    return bare


def _written_anew(data: bytes) -> bytes | None:
    kind = next((kind for beginning, kind in _BEGINNINGS.items() if data.startswith(beginning)), ".png")
    try:
        with overheard():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        return None if pixels is None else cv2.imencode(kind, pixels, _LOSSLESS[kind])[1].tobytes()
    except cv2.error:
        return None


def _same_pixels(one: bytes, other: bytes) -> bool:
    """Whether two files show the same picture, turned the same way."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    try:
        with overheard():
            shown, wanted = (cv2.imdecode(np.frombuffer(data, np.uint8), flags) for data in (one, other))
    except cv2.error:
        return False
    return (shown is None and wanted is None) or (
        shown is not None and wanted is not None and shown.dtype == wanted.dtype and np.array_equal(shown, wanted)
    )
