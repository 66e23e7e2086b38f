"""The same picture twice: exact copies by their pixels, near copies by the correlation of small grey versions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

NEAR_DUPLICATE_CORRELATION = 0.95
"""Measured on PolypGen and Kvasir-SEG: above it 67 pairs from one hospital, neighbouring frames, and none from two.

A 64-bit difference hash is no use here: the black rim of an endoscope's picture makes strangers look alike
(1,574 pairs from two hospitals within 8 bits).
"""
THUMBNAIL_SIZE = 32


def pixel_digest(image: NDArray[np.uint8]) -> str:
    """Return a key that two pictures (H, W, 3) share when, and only when, their sizes and pixels are equal."""
    digest = hashlib.blake2b(str(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture (H, W, 3) RGB as (32, 32) grey, for `near_duplicates`."""
    small = cv2.resize(image, (THUMBNAIL_SIZE, THUMBNAIL_SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def near_duplicates(
    first: Sequence[NDArray[np.uint8]], second: Sequence[NDArray[np.uint8]]
) -> list[tuple[int, int, float]]:
    """Return (index in first, index in second, correlation) of every pair of thumbnails that look the same.

    The most alike come first. Even pictures (all black, say) resemble nothing.
    """
    if not first or not second:
        return []
    rows, columns = _standardise(first), _standardise(second)
    pairs: list[tuple[int, int, float]] = []
    for start in range(0, len(rows), 1024):  # bounded memory for long lists
        correlation = rows[start : start + 1024] @ columns.T
        for i, j in np.argwhere(correlation > NEAR_DUPLICATE_CORRELATION):
            pairs.append((start + int(i), int(j), float(correlation[i, j])))
    return sorted(pairs, key=lambda pair: -pair[2])


def _standardise(thumbnails: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Return (N, 1024) rows of mean 0 and length 1, so that their products are correlations."""
    rows = np.stack(thumbnails).reshape(len(thumbnails), -1).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1.0), dtype=np.float32)
