"""How many frames a decoder or an encoder may hold: by bytes, so that 4K on many cores does not take gigabytes."""

from __future__ import annotations

import os

MOST_BYTES = 96 << 20
"""What the frames in the hands of one codec's threads may take, or those that an encoder looks ahead."""
_BYTES_A_PIXEL = 2.25
"""YUV 4:2:0 and half as much again, which codecs keep beside it."""


def frames_within(width: int, height: int) -> int:
    """Return how many frames of a size the budget holds, at least 2; a size of 0 is one that is not known yet."""
    return max(int(MOST_BYTES / (max(width * height, 1) * _BYTES_A_PIXEL)), 2)


def threads_within(width: int, height: int, wanted: int = 0) -> int:
    """Return the threads that a codec gets: `wanted`, for 0 as many as it likes, but no more than the budget holds.

    Each thread holds a frame of its own. 0 is returned where one per core, and half as many more as x264 takes, fit.
    """
    most = frames_within(width, height)
    return wanted if wanted or 1.5 * (os.cpu_count() or 1) <= most else most
