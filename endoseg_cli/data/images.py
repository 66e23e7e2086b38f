"""Read a picture, read a mask, write a PNG: the one place where image files meet endoseg."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.mask_values import describe_values, foreground_mask
from endoseg_cli.errors import InputError, MissingInputError, OutputError

JPEG_SUFFIXES = frozenset({".jpg", ".jpeg"})
IMAGE_SUFFIXES = JPEG_SUFFIXES | {".png", ".bmp", ".tif", ".tiff", ".webp"}
VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .avi .mpg .mpeg .ts .mts .m2ts .webm .wmv .h264 .264 .h265 .265 .hevc .gif".split()
)


def is_image(path: Path) -> bool:
    """True if the file's name ends like a picture's."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_video(path: Path) -> bool:
    """True if the file's name ends like a video's."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) uint8 RGB: grey is tripled, alpha dropped, 16 bit scaled down, EXIF turned upright.

    Raises MissingInputError or InputError.
    """
    # ANYDEPTH: without it OpenCV cuts 16-bit TIFFs instead of scaling them.
    return _rgb(_to_8_bit(_decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)))


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask as (H, W) bool, True in the foreground.

    Understood are 0/1, 0/255, 0 and one other value or colour, palettes, grey JPEG edges (threshold at half), and
    masks kept in the alpha channel of an otherwise even picture. Raises MissingInputError, or InputError with the
    values found where the file cannot be read or does not say what is foreground.
    """
    pixels = _mask_pixels(_decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH))
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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(encoded.tobytes())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _decode(path: Path, flags: int) -> NDArray[np.generic]:
    """Decode a file's bytes; OpenCV opens no path itself, as it cannot open every name on every system."""
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError as error:
        raise MissingInputError(f"no such file: {path}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    try:
        pixels = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:  # for example a picture beyond OpenCV's pixel limit
        pixels = None
    if pixels is None:
        found = "a damaged or foreign one" if data.size else "an empty one"
        raise InputError(f"expected a picture file, found {found}: {path}")
    return pixels


def _to_8_bit(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, dtype=np.uint8)
    scale = 255 / 65535 if pixels.dtype == np.uint16 else 255.0
    return np.asarray(np.clip(np.rint(pixels.astype(np.float32) * scale), 0, 255), dtype=np.uint8)


def _mask_pixels(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return a decoded mask as RGB uint8; small numbers in a 16-bit file are values, not shades of black."""
    if pixels.dtype == np.uint16 and pixels.astype(np.uint16).max() <= 255:
        return _rgb(pixels.astype(np.uint8))
    return _rgb(_to_8_bit(pixels))


def _alpha_channel(path: Path, even: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the alpha channel as RGB where a picture without any contrast has one that says more, else `even`."""
    pixels = _decode(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim < 3 or pixels.shape[2] != 4:
        return even
    alpha = _mask_pixels(np.repeat(pixels[..., 3:], 3, axis=2))
    return even if alpha.min() == alpha.max() else alpha


def _rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)
