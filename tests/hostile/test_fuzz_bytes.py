"""Small files with bytes changed, cut out or put in: read, or refused in endoseg's own words, in bounded memory."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endoseg_cli.annotations.writing.coco import CocoWriter
from endoseg_cli.annotations.writing.cvat import CvatWriter
from endoseg_cli.data.labels.mask_reader import LocatedLabels, read_annotations, read_label
from endoseg_cli.data.sets.split import read_split
from endoseg_cli.errors import EndosegError
from endoseg_cli.networks.files.bundle import load_bundle, save_bundle
from endoseg_cli.pictures.images import read_image, read_mask
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.settings.config_file import build_config, read_config
from endoseg_cli.video.reading.reader import VideoReader
from tests.annotations.drawn import disc, frame_of
from tests.data.drawing import draw_frame, draw_mask, save
from tests.hostile.budget import budget
from tests.networks.tiny import tiny_bundle
from tests.video.rendering import Clip, render_clip

MOST_MEGABYTES = 800
"""How much the process may grow over all examples of one test."""
MOST_SECONDS = 10.0
"""Seconds of the processor that one file may take."""
Change = tuple[str, float, bytes]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A healthy file and how endoseg reads it."""

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]


def _read_video(path: Path) -> None:
    with VideoReader(path) as reader:
        for frame in reader:
            assert frame.rgb.ndim == 3


def _read_labels(path: Path) -> None:
    found = read_annotations(path)
    for picture in found.labels.pictures if isinstance(found, LocatedLabels) else (found,):
        picture.mask()


def _read_labelme(path: Path) -> None:
    read_label(path.with_suffix(".png"), path)


def _read_settings(path: Path) -> None:
    build_config(TrainConfig, read_config(path).get("training", {}), "training")


def _coco(path: Path) -> None:
    with CocoWriter(path, ("polyp",)) as writer:
        writer.write(frame_of(disc(6, (12, 14), (24, 32)), "a.png"))


def _cvat(path: Path) -> None:
    with CvatWriter(path, ("polyp",)) as writer:
        writer.write(frame_of(disc(6, (12, 14), (24, 32)), "a.png"))


def _labelme(path: Path) -> None:
    shape = {"label": "polyp", "shape_type": "polygon", "points": [[2, 2], [9, 2], [9, 8]], "flags": {}}
    content = {"version": "5.2", "imagePath": "a.png", "imageHeight": 24, "imageWidth": 32, "imageData": None}
    path.write_text(json.dumps({**content, "shapes": [shape]}))


def _yolo(path: Path) -> None:
    save(path.with_suffix(".png"), draw_frame(0, (24, 32)))
    path.write_text("0 0.1 0.1 0.5 0.1 0.5 0.6\n0 0.7 0.7 0.9 0.7 0.8 0.9\n")


def _split(path: Path) -> None:
    path.write_text(json.dumps({"train": {"labeled": ["a", "b"], "unlabeled": [{"image": "u/c.png"}]}, "val": ["d"]}))


def _config(path: Path) -> None:
    path.write_text("training:\n  seed: 3\n  size: [32, 32]\n  learning_rate: 1.0e-4\n  max_time: 2h\n  workers: 0\n")


def _clip(path: Path) -> None:
    render_clip(path.parent, Clip(name=path.name, frames=4, size=(32, 48)))


SAMPLES = (
    Sample(name="clip.mp4", make=_clip, read=_read_video),
    Sample(name="clip.ts", make=_clip, read=_read_video),
    Sample(name="model.safetensors", make=lambda path: save_bundle(tiny_bundle(networks=1), path), read=load_bundle),
    Sample(name="coco.json", make=_coco, read=_read_labels),
    Sample(name="labelme.json", make=_labelme, read=_read_labelme),
    Sample(name="cvat.xml", make=_cvat, read=_read_labels),
    Sample(name="yolo.txt", make=_yolo, read=lambda path: read_label(path.with_suffix(".png"), path)),
    Sample(name="split.json", make=_split, read=read_split),
    Sample(name="config.yaml", make=_config, read=_read_settings),
    Sample(name="frame.png", make=lambda path: save(path, draw_frame(1, (24, 32))), read=read_image),
    Sample(name="frame.jpg", make=lambda path: save(path, draw_frame(1, (24, 32))), read=read_image),
    Sample(name="mask.png", make=lambda path: save(path, draw_mask((24, 32), 6)), read=read_mask),
    Sample(name="mask.tif", make=lambda path: save(path, draw_mask((24, 32), 6)), read=read_mask),
)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("set", "flip", "cut", "put", "end", "repeat")),
        st.floats(0, 1, exclude_max=True),
        st.one_of(
            st.binary(min_size=1, max_size=8),
            st.sampled_from(
                (b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 8, b"-1", b"1e999", b"null", b'"', b"NaN", b"{")
            ),
        ),
    ),
    min_size=1,
    max_size=4,
)


def changed(content: bytes, changes: list[Change]) -> bytes:
    """Return a file's bytes with each change made at its place, which is a share of the length.

    Half of the places fall into the first 512 bytes, where formats keep their sizes.
    """
    for how, place, value in changes:
        length = len(content)
        at = int(place * 2 * min(512, length)) if place < 0.5 else int((place - 0.5) * 2 * length)
        at = min(at, max(0, length - 1))
        if how == "set":
            content = content[:at] + value + content[at + len(value) :]
        elif how == "flip" and content:
            content = content[:at] + bytes([content[at] ^ (1 << (value[0] & 7))]) + content[at + 1 :]
        elif how == "cut":
            content = content[:at] + content[at + 1 + value[0] :]
        elif how == "put":
            content = content[:at] + value + content[at:]
        elif how == "end":
            content = content[:at]
        else:
            content = content[:at] + content[at : at + 40] * (1 + value[0] % 16) + content[at:]
    return content


def _peak_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_changed_bytes_are_read_or_refused(sample: Sample, tmp_path: Path) -> None:
    healthy = tmp_path / sample.name
    sample.make(healthy)
    content = healthy.read_bytes()
    path = tmp_path / f"changed-{sample.name}"
    beside = healthy.with_suffix(".png")
    if beside.is_file():
        path.with_suffix(".png").write_bytes(beside.read_bytes())
    save(path.with_suffix(".png"), draw_frame(0, (24, 32))) if sample.name == "labelme.json" else None
    before = _peak_megabytes()

    @budget(60)
    @given(CHANGES)
    def read(changes: list[Change]) -> None:
        path.write_bytes(changed(content, changes))
        began = time.process_time()  # not wall time: the machine may be busy
        try:
            sample.read(path)
        except EndosegError as error:
            assert error.message and "internal error" not in error.message
        assert time.process_time() - began < MOST_SECONDS

    read()
    assert _peak_megabytes() - before < MOST_MEGABYTES
