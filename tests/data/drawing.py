"""Small pictures, masks and videos for the tests of the data room."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = (48, 64)


def draw_frame(seed: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Draw a soft random picture (H, W, 3) RGB; two seeds give pictures that do not resemble each other."""
    coarse = np.random.default_rng(seed).integers(20, 235, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def draw_mask(size: tuple[int, int] = SIZE, radius: int = 10) -> NDArray[np.uint8]:
    """Draw a disc of 255 on 0, (H, W), a little off the middle."""
    mask = np.zeros(size, dtype=np.uint8)
    cv2.circle(mask, (size[1] // 2 + 4, size[0] // 2 - 3), radius, 255, -1)
    return mask


def save(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16], quality: int = 90) -> Path:
    """Save RGB, RGBA or grey pixels in the format of the file's ending, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    swap = {4: cv2.COLOR_RGBA2BGRA, 3: cv2.COLOR_RGB2BGR}
    stored = cv2.cvtColor(pixels, swap[pixels.shape[2]]) if pixels.ndim == 3 else pixels
    is_jpeg = path.suffix.lower() in {".jpg", ".jpeg"}
    _, encoded = cv2.imencode(path.suffix, stored, [cv2.IMWRITE_JPEG_QUALITY, quality] if is_jpeg else [])
    path.write_bytes(encoded.tobytes())
    return path


def turn_by_exif(path: Path, orientation: int) -> Path:
    """Write EXIF's orientation, 2 to 8, into a JPEG or a PNG."""
    exif = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + b"\0\0\0\0"
    data = path.read_bytes()
    if data.startswith(b"\x89PNG"):
        chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
        path.write_bytes(data[:33] + chunk + data[33:])
    else:
        exif = b"Exif\0\0" + exif
        path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    return path


def save_pair(image: Path, mask: Path, seed: int = 0) -> None:
    """Save a frame and a mask of the same size."""
    save(image, draw_frame(seed))
    save(mask, draw_mask())


def save_video(path: Path, frames: int = 20, rate: float = 10.0, seed: int = 0) -> Path:
    """Write a Motion JPEG .avi whose picture slides a little from frame to frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (SIZE[1], SIZE[0]))
    assert writer.isOpened()
    picture = cv2.cvtColor(draw_frame(seed), cv2.COLOR_RGB2BGR)
    for index in range(frames):
        writer.write(np.roll(picture, index, axis=1))
    writer.release()
    return path
