"""Put frames of a video above the same frames of its overlay, in one JPEG; examples/overlay.jpg was made so:

endoseg segment examples/colonoscopy-phantom.mp4 --overlay overlay.mp4
python examples/side_by_side.py examples/colonoscopy-phantom.mp4 overlay.mp4 0 40 108 --out examples/overlay.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.video.reading.reader import VideoReader


def read_row(video: Path, indices: list[int], height: int) -> NDArray[np.uint8]:
    """Return the frames with these indices beside each other, (height, W, 3) RGB, 4 pixels of white between them."""
    pictures: list[NDArray[np.uint8]] = []
    with VideoReader(video) as frames:
        wanted = [frame.rgb for number, frame in enumerate(frames) if number in indices]
    for picture in wanted:
        width = round(picture.shape[1] * height / picture.shape[0])
        pictures.append(np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8))
        pictures.append(np.full((height, 4, 3), 255, np.uint8))
    return np.hstack(pictures[:-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("overlay", type=Path)
    parser.add_argument("frames", type=int, nargs="+", help="indices from 0, in the order of the video")
    parser.add_argument("--out", type=Path, required=True, help="JPEG to write")
    arguments = parser.parse_args()
    rows = [read_row(path, arguments.frames, 200) for path in (arguments.video, arguments.overlay)]
    gap = np.full((4, rows[0].shape[1], 3), 255, np.uint8)
    both = cv2.cvtColor(np.vstack([rows[0], gap, rows[1]]), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(arguments.out), both, [cv2.IMWRITE_JPEG_QUALITY, 88])
