"""Frames as recorders burn them: the endoscope's picture in black, a name beside it and one inside it."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import cv2
import numpy as np

from tests.video.rendering import Picture

SIZE = (120, 160)
NAME = (2, 40, 44, 40)
"""Box (x, y, width, height) around the name beside the endoscope's picture."""
CORNER = (51, 9, 13, 9)
"""Box around a number in the corner of that picture's own box."""
LABEL = (83, 21, 35, 13)
"""Box, with odd sides and corners, around the label inside it."""
BOX = ",".join(map(str, LABEL))


def burnt_in(index: int, size: tuple[int, int] = SIZE) -> Picture:
    """A reddish disc that moves a little in its structure, on black, with white text on both."""
    height, width = size
    picture = np.zeros((height, width, 3), np.uint8)
    cv2.circle(picture, (100, 60), 52, (170, 90, 70), -1)
    cv2.circle(picture, (90 + index, 80), 8, (200, 120, 100), -1)
    cv2.putText(picture, "ANNA", (3, 56), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    cv2.putText(picture, "1961", (3, 74), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    cv2.putText(picture, "Dr X", (85, 32), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    cv2.putText(picture, "77", (52, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.25, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def shows(picture: Picture, box: tuple[int, int, int, int]) -> bool:
    """Whether anything but black can be told in a box of an upright picture of `SIZE`, or of one scaled from it."""
    scale = np.array([picture.shape[1] / SIZE[1], picture.shape[0] / SIZE[0]])
    left, top = np.ceil(np.array(box[:2]) * scale).astype(int)
    right, bottom = np.floor((np.array(box[:2]) + box[2:]) * scale).astype(int)
    # the outermost pixels may have a little of what is beside them, where a picture was shrunk or is a JPEG
    return bool(picture[top + 1 : bottom - 1, left + 1 : right - 1].max() > 60)


def shows_any(picture: Picture) -> bool:
    """Whether any text can be told, beside the endoscope's picture, in a corner of its box, or in it."""
    return any(shows(picture, box) for box in (NAME, CORNER, LABEL))


def video_in(page: Path, folder: Path) -> Path:
    """Take the video out of a page."""
    found = re.search(r'id="video-data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    (folder / "inside.mp4").write_bytes(base64.b64decode(found[1]))
    return folder / "inside.mp4"


def pictures_in(page: Path) -> list[Picture]:
    """Decode all JPEG pictures inside a page."""
    found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page.read_text(encoding="utf-8"))
    pictures = [cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR) for text in found]
    return [np.asarray(picture, np.uint8) for picture in pictures]
