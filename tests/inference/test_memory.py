"""Memory does not grow with the video; measured in a process of its own, as a peak never falls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.video.rendering import Clip, render_clip

PROGRAM = """
import resource, sys
from pathlib import Path
from endoseg_cli.inference.pipeline import SegmentConfig, segment_video
from endoseg_cli.inference.write.overlay import OverlayConfig
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.write.products import ProductStyle
from tests.inference.brightness import targets_for
from tests.networks.tiny import tiny_bundle

predictor = Predictor(tiny_bundle(), device="cpu")
style = ProductStyle(class_names=("lesion",), overlay=OverlayConfig())
folder = Path(sys.argv[1])
for name in sys.argv[2:]:
    targets = targets_for(folder / name, masks=folder / f"m-{name}", overlay=folder / f"o-{name}")
    frames = segment_video(targets, predictor, style, SegmentConfig()).frames
    print(frames, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
SIDES = (480, 640)
"""Forty frames' planes are a twentieth of what Python and torch take: a pipeline that kept them would be seen."""


def test_ten_times_the_frames_take_no_more_memory(tmp_path: Path) -> None:
    names: list[str] = []
    for frames in (20, 20, 200):  # the first run warms everything up
        clip = Clip(name=f"{len(names)}.mp4", frames=frames, size=SIDES)
        names.append(render_clip(tmp_path, clip).name)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), *names]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=250)
    peaks = [tuple(map(int, line.split())) for line in ran.stdout.splitlines()]
    assert [frames for frames, _ in peaks] == [20, 20, 200]
    assert peaks[2][1] <= 1.05 * peaks[1][1], peaks
