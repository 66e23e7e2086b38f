"""Tell a JPEG with bytes missing or wrong inside from a whole one: OpenCV returns a salvaged picture for both."""

from __future__ import annotations

import re
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.pictures.bare import jpeg_end
from endoseg_cli.pictures.library_messages import overheard

_DAMAGE = re.compile(
    "premature end|bad huffman|bad arithmetic|instead of rst|inconsistent progression"
    "|extraneous bytes before marker 0x(d[0-7]|c4|da)",  # between two parts of the picture
    re.IGNORECASE,
)
_LEFT_OVER = re.compile("([0-9]+) extraneous bytes before marker 0xd9")
_MOST_LEFT_OVER = 32
"""Bytes that may be left at the end of a whole picture, whatever they are; some cameras do that."""
_GREY = 128
_FILLER = bytes(range(1, 250)) * 4


def is_damaged(data: NDArray[np.uint8], pixels: NDArray[np.generic], said: Sequence[str] | None) -> bool:
    """Whether a file's bytes are those of a damaged JPEG, of which OpenCV made `pixels` (H, W[, 3]).

    `said` is what libjpeg said meanwhile, None where that cannot be known: then only missing bytes are noticed.
    """
    if data[:2].tobytes() != b"\xff\xd8":
        return False
    if said is None:
        return runs_out(data, pixels)
    return any(_DAMAGE.search(line) or _much_left_over(data, line) for line in said)


def _much_left_over(data: NDArray[np.uint8], line: str) -> bool:
    """Whether data were left after the last pixel: the way there was lost, unless it is one byte again and again."""
    found = _LEFT_OVER.search(line)
    if found is None or int(found[1]) <= _MOST_LEFT_OVER:
        return False
    content = data.tobytes()
    end = jpeg_end(content)
    return len(set(content[end - int(found[1]) : end])) > 1


def runs_out(data: NDArray[np.uint8], pixels: NDArray[np.generic]) -> bool:
    """Whether the data of a JPEG end before its last pixels, which are an even grey then.

    Such a grey may be meant: so, where a corner has it, the picture must change once there is more to read.
    """
    if not (pixels[:: max(len(pixels) - 1, 1), :: max(pixels.shape[1] - 1, 1)] == _GREY).any():
        return False
    content = data.tobytes()
    end = jpeg_end(content)
    longer = np.frombuffer(content[:end] + _FILLER + content[end:], np.uint8)
    with overheard():
        as_is, filled = (cv2.imdecode(letters, cv2.IMREAD_GRAYSCALE) for letters in (data, longer))
    return as_is is None or filled is None or not np.array_equal(as_is, filled)
