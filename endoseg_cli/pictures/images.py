"""Read a picture, read a mask, write a PNG: the one place where image files meet endoseg."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.errors import InputError, MissingInputError, OutputError
from endoseg_cli.part_file import whole_file
from endoseg_cli.pictures.jpeg_damage import is_damaged
from endoseg_cli.pictures.library_messages import overheard
from endoseg_cli.pictures.mask_values import describe_values, foreground_mask

JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
PAGED_SUFFIXES = frozenset({".tif", ".tiff", ".webp"})
"""Files that may hold several pictures."""
IMAGE_SUFFIXES = JPEG_SUFFIXES | PAGED_SUFFIXES | {".png", ".bmp", ".jp2"}
VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .qt .mkv .avi .mpg .mpeg .m2v .ts .mts .m2ts .vob .webm .wmv .asf .flv .f4v .3gp .3g2 .ogv .mxf .dv"
    " .h264 .264 .h265 .265 .hevc .gif".split()
)
MOST_PIXELS = 1 << 27
"""Pixels of the largest picture that is decoded, which then takes 400 MB."""
NARROW_BITS = (10, 12)
"""What cameras keep in files of 16 bits: a picture whose values need no more has its white there."""


def is_image(path: Path) -> bool:
    """True if the file's name ends like a picture's."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_video(path: Path) -> bool:
    """True if the file's name ends like a video's."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def is_picture(path: Path) -> bool:
    """True for a picture: by the file's name, or, where that says neither picture nor video, by what is in it."""
    if is_image(path) or is_video(path):
        return is_image(path)
    try:
        return path.is_file() and cv2.haveImageReader(str(path))
    except (OSError, UnicodeError, cv2.error):
        return False


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) uint8 RGB: grey is tripled, alpha dropped, 16 bit scaled down, EXIF turned upright.

    A picture of 16 bits that uses 10 or 12 of them is scaled from those; one in floats is 0 to 1, or 0 to 255. Raises
    MissingInputError, or InputError also for a file of several pages.
    """
    # ANYDEPTH: without it OpenCV cuts 16-bit TIFFs instead of scaling them.
    pixels = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if pixels.dtype == np.uint16:
        pixels = _widened(pixels.astype(np.uint16))
    return _rgb(_to_8_bit(pixels, path))


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask as (H, W) bool, True in the foreground.

    Understood are 0/1, 0/255, 0 and one other value or colour, palettes, grey JPEG edges (threshold at half), and
    masks kept in the alpha channel of an otherwise even picture. Raises MissingInputError, or InputError with the
    values found where the file cannot be read or does not say what is foreground.
    """
    pixels = _mask_pixels(_decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH), path)
    lossy = path.suffix.lower() in JPEG_SUFFIXES
    if not lossy and pixels.min() == pixels.max():
        pixels = _alpha_channel(path, pixels)
    mask = foreground_mask(pixels, lossy=lossy)
    if mask is None:
        raise InputError(
            f"expected a mask of two values (0 and 1, or 0 and 255), found {describe_values(pixels)} in {path}",
            hint="write the mask as PNG with 0 for background and 255 for the lesion; of several classes keep one",
        )
    return mask


def write_png(
    path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.bool_], *, compression: int = 3
) -> None:
    """Write (H, W, 3) RGB, (H, W) grey of 8 or 16 bits, or a bool mask (as 0/255), atomically.

    `compression` runs from 0 (fast) to 9 (small). Raises OutputError.
    """
    shown = pixels.astype(np.uint8) * np.uint8(255) if pixels.dtype == np.bool_ else pixels
    picture = cast("NDArray[np.integer]", shown)
    if picture.ndim == 3:
        picture = np.ascontiguousarray(picture[..., ::-1])  # OpenCV writes BGR
    _, encoded = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, compression])
    write_bytes(path, encoded.tobytes())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, into a folder that must be there; raises OutputError."""
    try:
        with whole_file(path, durable=False) as file:
            file.write(data)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}", hint="check the free space") from error


def encode_jpeg(picture: NDArray[np.uint8], quality: int) -> bytes:
    """Return (H, W, 3) RGB as JPEG of a quality of 0 to 100."""
    stored = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()


def _decode(path: Path, flags: int) -> NDArray[np.generic]:
    """Decode a file's bytes; OpenCV opens no path itself, as it cannot open every name on every system."""
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError as error:
        raise MissingInputError(f"no such file: {path}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    with overheard() as said:
        pixels, is_large = _decoded(data, flags)
        if pixels is None and not is_large and flags != cv2.IMREAD_UNCHANGED:
            # whole numbers of 32 bits and some floats: OpenCV reads them only as they are
            pixels, is_large = _decoded(data, cv2.IMREAD_UNCHANGED)
            pixels = None if pixels is None else _three_channels(pixels)
    if is_large:
        raise InputError(f"expected a picture of at most {MOST_PIXELS // 10**6} million pixels, found more: {path}")
    if pixels is None:
        found = "a damaged or foreign one" if data.size else "an empty one"
        raise InputError(f"expected a picture file, found {found}: {path}")
    if is_damaged(data, pixels, said):
        raise InputError(f"expected a whole picture, found a damaged one; copy or export it again: {path}")
    if path.suffix.lower() in PAGED_SUFFIXES and (pages := _count_pages(path)) > 1:
        raise InputError(
            f"expected one picture, found {pages} pages or frames in {path}", hint="save each as a picture of its own"
        )
    return pixels


def _decoded(data: NDArray[np.uint8], flags: int) -> tuple[NDArray[np.generic] | None, bool]:
    """Return what OpenCV makes of a file's bytes, and whether it refused it for its size."""
    picture = _up_to_its_end(data)
    try:
        return None if picture is None or not picture.size else cv2.imdecode(picture, flags), False
    except cv2.error as error:
        return None, "pixels" in str(error).lower()


def _up_to_its_end(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return the bytes of a file that are decoded: of a PNG without what follows its end, filling or another file.

    None for a PNG that promises a chunk longer than the whole file: OpenCV takes memory for it before it reads it.
    """
    if data[:8].tobytes() != b"\x89PNG\r\n\x1a\n":
        return data
    at, kind = 8, b""
    while at + 8 <= len(data) and kind != b"IEND":
        length, kind = int.from_bytes(data[at : at + 4].tobytes(), "big"), data[at + 4 : at + 8].tobytes()
        if length > len(data):
            return None
        at += length + 12  # length, kind and checksum take four bytes each
    return data[:at]


def _count_pages(path: Path) -> int:
    try:
        with overheard():
            return cv2.imcount(str(path))
    except (cv2.error, UnicodeError):
        return 1


def _three_channels(pixels: NDArray[np.generic]) -> NDArray[np.generic] | None:
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return pixels[..., :3] if pixels.shape[2] >= 3 else None


def _widened(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return pixels that use 10 or 12 bits scaled to all 16; those that use 8 or fewer are dark, or are classes."""
    brightest = int(pixels.max())
    bits = next((bits for bits in NARROW_BITS if 255 < brightest < 1 << bits), 16)
    return np.asarray(pixels.astype(np.float32) * (65535 / ((1 << bits) - 1)) + 0.5, np.uint16) if bits < 16 else pixels


def _to_8_bit(pixels: NDArray[np.generic], path: Path) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, dtype=np.uint8)
    values = pixels.astype(np.float32)
    if pixels.dtype == np.uint16:
        scale = 255 / 65535
    elif not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise InputError(
            f"expected values from 0 to 1, or to 255, found {values.min():g} to {values.max():g} in {path}",
            hint="save the picture with 8 or 16 bits",
        )
    else:
        scale = 255.0 if np.issubdtype(pixels.dtype, np.floating) and values.max() <= 1 else 1.0
    return np.asarray(np.clip(np.rint(values * scale), 0, 255), dtype=np.uint8)


def _mask_pixels(pixels: NDArray[np.generic], path: Path) -> NDArray[np.uint8]:
    """Return a decoded mask as RGB uint8; small numbers in a 16-bit file are values, not shades of black."""
    if pixels.dtype == np.uint16 and pixels.astype(np.uint16).max() <= 255:
        return _rgb(pixels.astype(np.uint8))
    return _rgb(_to_8_bit(pixels, path))


def _alpha_channel(path: Path, even: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the alpha channel as RGB where a picture without any contrast has one that says more, else `even`."""
    pixels = _decode(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim < 3 or pixels.shape[2] != 4:
        return even
    alpha = _mask_pixels(np.repeat(pixels[..., 3:], 3, axis=2), path)
    return even if alpha.min() == alpha.max() else alpha


def _rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)
