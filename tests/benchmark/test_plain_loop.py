"""The plain loop is the program in examples/, and its masks are those of `segment` without what it leaves out."""

from __future__ import annotations

import ast
import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from endoseg_cli.benchmark import plain_loop as module
from endoseg_cli.benchmark.plain_loop import plain_loop
from endoseg_cli.networks.files.bundle import load_bundle
from endoseg_cli.networks.files.models import resolve_weights
from tests.conftest import Run
from tests.inference.brightness import decode
from tests.networks.tiny import calibrated_bundle
from tests.video.rendering import Clip, Picture, render_clip

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


def loop_of(file: Path) -> str:
    [found] = [node for node in ast.parse(file.read_text()).body if getattr(node, "name", "") == "plain_loop"]
    return ast.unparse(found)


def blobs(index: int, size: tuple[int, int]) -> Picture:
    """Coarse colours that move, so that a random network says different things in different places."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.roll(np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), np.uint8), index, axis=1)


def test_what_is_timed_is_what_the_example_shows() -> None:
    assert loop_of(EXAMPLES / "plain_loop.py") == loop_of(Path(module.__file__))


def test_masks_are_those_of_segment_but_for_the_way_of_resizing(tmp_path: Path, endoseg: Callable[..., Run]) -> None:
    clip, frames, out = EXAMPLES / "colonoscopy-phantom.mp4", 3, tmp_path / "endoseg.mp4"
    bundle = load_bundle(resolve_weights(None))
    card = bundle.card
    done = plain_loop(
        clip, bundle.networks, tmp_path, input_size=card.input_size, mean=card.mean, std=card.std, frames=frames
    )
    same = ("--refine", "off", "--presence", 0, "--field-of-view", "off", "--precision", "fp32", "--runtime", "torch")
    ran = endoseg("segment", clip, "--out", out, *same, "--end", frames / 25, "--device", "cpu")
    assert ran.code == 0, ran.stderr
    plain, ours = (np.stack(decode(path)[0])[..., 0] > 127 for path in (tmp_path / "mask.mp4", out))
    assert done == frames and plain.shape == ours.shape == (frames, 320, 384)
    assert ours.mean() > 0.02
    around = np.ones((7, 7), np.uint8)
    for one, other in zip(plain.astype(np.uint8), ours.astype(np.uint8), strict=True):
        # nearest neighbour against bilinear: edges differ by two pixels of the networks at most, three of the frame
        assert not np.any(one > cv2.dilate(other, around)) and not np.any(one < cv2.erode(other, around))
        assert 2 * np.sum(one & other) / np.sum(one + other) > 0.98


def test_it_writes_an_overlay_and_a_row_a_frame_and_stops_when_told(tmp_path: Path) -> None:
    clip = render_clip(tmp_path, Clip(name="in.mp4", frames=8, picture=blobs))
    bundle = calibrated_bundle()
    arguments = {"input_size": bundle.card.input_size, "mean": bundle.card.mean, "std": bundle.card.std}
    done = plain_loop(clip, bundle.networks, tmp_path, threshold=1e-6, frames=5, **arguments)  # type: ignore[arg-type]
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert done == len(rows) == len(decode(tmp_path / "overlay.mp4")[0]) == 5
    assert [float(row["time"]) for row in rows] == [0, 0.04, 0.08, 0.12, 0.16]
    assert {int(row["pixels"]) for row in rows} == {48 * 64}
    red, green, blue = np.stack(decode(tmp_path / "overlay.mp4")[0]).mean((0, 1, 2))
    before = np.stack(decode(clip)[0]).mean((0, 1, 2))
    assert green - before[1] > 20 and red < before[0] and blue < before[2] + 5
