"""The loop that one would write by oneself: OpenCV, PyTorch, one frame at a time.

`examples/plain_loop.py` is the same function as a program; a test compares their sources.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor


def plain_loop(
    video: Path,
    networks: Sequence[Callable[[Tensor], Tensor]],
    out: Path,
    *,
    input_size: tuple[int, int],
    mean: Sequence[float],
    std: Sequence[float],
    device: str = "cpu",
    threshold: float = 0.5,
    frames: int | None = None,
) -> int:
    """Write out/mask.mp4, out/overlay.mp4 and out/table.csv of a video, or of its first frames; return how many.

    `networks` give logits (1, C, h, w) of normalised RGB pictures (1, 3, h, w) of `input_size` = (h, w).
    """
    capture = cv2.VideoCapture(str(video))
    rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    writers = [cv2.VideoWriter(str(out / name), codec, rate, size) for name in ("mask.mp4", "overlay.mp4")]
    means = torch.tensor(mean, device=device).view(1, 3, 1, 1)
    deviations = torch.tensor(std, device=device).view(1, 3, 1, 1)
    number = 0
    try:
        with (out / "table.csv").open("w", newline="") as file, torch.inference_mode():
            table = csv.writer(file)
            table.writerow(["frame", "time", "pixels", "peak"])
            while frames is None or number < frames:
                is_there, frame = capture.read()
                if not is_there:
                    break
                rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                small = cv2.resize(rgb, input_size[::-1], interpolation=cv2.INTER_AREA)
                image = torch.from_numpy(small).to(device).permute(2, 0, 1)[None].float() / 255
                image = (image - means) / deviations
                probability = torch.stack([torch.sigmoid(network(image)) for network in networks]).mean(0)
                lesion = (probability[0].amax(0) > threshold).to(torch.uint8).cpu().numpy()
                mask = cv2.resize(lesion * 255, size, interpolation=cv2.INTER_NEAREST)
                green = np.full_like(frame, (60, 230, 0))
                tinted = np.where(mask[..., None] > 0, cv2.addWeighted(frame, 0.7, green, 0.3, 0), frame)
                outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
                cv2.drawContours(tinted, outlines, -1, (60, 230, 0), 2)
                writers[0].write(cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR))
                writers[1].write(tinted)
                table.writerow([number, number / rate, cv2.countNonZero(mask), float(probability.max())])
                number += 1
    finally:
        capture.release()
        for writer in writers:
            writer.release()
    return number
