from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from endoseg_cli.annotations.shapes.drawing import draw_ring
from endoseg_cli.annotations.shapes.polygons import within_a_pixel
from endoseg_cli.annotations.writing.yolo import YoloWriter
from tests.annotations.drawn import SIZE, disc, frame_of, hard_masks


@pytest.mark.parametrize("name", hard_masks())
def test_masks_come_back_within_a_pixel(tmp_path: Path, name: str) -> None:
    mask = hard_masks()[name]
    with YoloWriter(tmp_path, ("polyp",)) as writer:
        writer.write(frame_of(mask, f"clip/{name}.png"))
    drawn = np.zeros(SIZE, dtype=np.bool_)
    for line in (tmp_path / "labels" / "clip" / f"{name}.txt").read_text().splitlines():
        number, *shares = line.split()
        values = np.array(shares, dtype=np.float64).reshape(-1, 2)
        assert number == "0" and len(values) >= 3 and values.min() >= 0 and values.max() <= 1
        draw_ring(drawn, values * (SIZE[1], SIZE[0]))
    assert within_a_pixel(drawn, mask)


def test_the_set_is_described_when_it_is_complete(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), YoloWriter(tmp_path, ("polyp", "stone: hard")) as writer:
        writer.write(frame_of(disc()))
        raise KeyboardInterrupt
    assert not (tmp_path / "data.yaml").exists()
    YoloWriter(tmp_path, ("polyp", "stone: hard")).finish()
    content = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert content == {"train": "images", "val": "images", "names": {0: "polyp", 1: "stone: hard"}}
