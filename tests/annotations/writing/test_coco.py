from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from endoseg_cli.annotations.reading.coco import parse_coco
from endoseg_cli.annotations.shapes.polygons import within_a_pixel
from endoseg_cli.annotations.writing.coco import CocoWriter
from endoseg_cli.errors import OutputError
from tests.annotations.drawn import SIZE, disc, frame_of, hard_masks


def written(path: Path, *frames: str) -> Any:
    with CocoWriter(path, ("polyp",)) as writer:
        for name in frames:
            writer.write(frame_of(hard_masks()[name], f"clip/{name}.png"))
    return json.loads(path.read_text(encoding="utf-8"))


def test_all_masks_come_back_within_a_pixel(tmp_path: Path) -> None:
    masks = hard_masks()
    labels = parse_coco(written(tmp_path / "a.json", *masks), tmp_path / "a.json")
    assert not labels.faults and labels.foreground == ("polyp",)
    assert [picture.name for picture in labels.pictures] == [f"clip/{name}.png" for name in masks]
    for picture, mask in zip(labels.pictures, masks.values(), strict=True):
        assert within_a_pixel(picture.mask(), mask), picture.name


def test_an_annotation_has_what_the_format_asks_for(tmp_path: Path) -> None:
    content = written(tmp_path / "a.json", "disc", "empty", "ring")
    assert content["categories"] == [{"id": 1, "name": "polyp"}]
    assert content["images"][2] == {"id": 3, "file_name": "clip/ring.png", "width": SIZE[1], "height": SIZE[0]}
    plain, hollow = content["annotations"]
    assert (plain["id"], plain["image_id"], plain["category_id"]) == (1, 1, 1)
    assert plain["bbox"] == [21, 9, 19, 19] and plain["area"] == disc().sum() and plain["score"] == 0.75
    assert plain["iscrowd"] == 0 and len(plain["segmentation"]) == 1 and len(plain["segmentation"][0]) % 2 == 0
    assert hollow["iscrowd"] == 1 and hollow["segmentation"]["size"] == list(SIZE) and hollow["image_id"] == 3


def test_holes_come_back_exactly(tmp_path: Path) -> None:
    content = written(tmp_path / "a.json", "holes")
    np.testing.assert_array_equal(parse_coco(content, tmp_path).pictures[0].mask(), hard_masks()["holes"])


def test_a_job_that_stops_leaves_a_part_file_that_reads(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), CocoWriter(tmp_path / "a.json", ("polyp",)) as writer:
        writer.write(frame_of(disc(), "ä.png"))
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a.json.endoseg.part"]
    content = json.loads((tmp_path / "a.json.endoseg.part").read_text(encoding="utf-8"))
    assert content["images"][0]["file_name"] == "ä.png" and len(content["annotations"]) == 1


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"a\.json\.endoseg\.part"):
        CocoWriter(tmp_path / "file" / "a.json", ("polyp",))
