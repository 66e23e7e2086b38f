from __future__ import annotations

import json
from pathlib import Path

import pytest

from endoseg_cli.annotations.reading.labelme import parse_labelme
from endoseg_cli.annotations.shapes.polygons import within_a_pixel
from endoseg_cli.annotations.writing.labelme import LabelMeWriter
from endoseg_cli.errors import OutputError
from tests.annotations.drawn import SIZE, disc, frame_of, hard_masks


@pytest.mark.parametrize("name", hard_masks())
def test_masks_come_back_within_a_pixel(tmp_path: Path, name: str) -> None:
    mask = hard_masks()[name]
    with LabelMeWriter(tmp_path, ("polyp",)) as writer:
        writer.write(frame_of(mask, f"clip/{name}.png"))
    path = tmp_path / "clip" / f"{name}.json"
    labels = parse_labelme(json.loads(path.read_text(encoding="utf-8")), path)
    assert labels.name == f"{name}.png"
    assert within_a_pixel(labels.mask(), mask)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_has_what_labelme_reads(tmp_path: Path) -> None:
    LabelMeWriter(tmp_path, ("polyp",)).write(frame_of(disc(), "a.b.png"))
    content = json.loads((tmp_path / "a.b.json").read_text(encoding="utf-8"))
    assert content["imagePath"] == "a.b.png" and content["imageData"] is None and content["flags"] == {}
    assert (content["imageHeight"], content["imageWidth"]) == SIZE
    (shape,) = content["shapes"]
    assert shape["label"] == "polyp" and shape["shape_type"] == "polygon" and shape["score"] == 0.75
    assert shape["group_id"] is None and shape["flags"] == {} and all(len(point) == 2 for point in shape["points"])


def test_the_picture_is_named_from_where_the_file_lies(tmp_path: Path) -> None:
    LabelMeWriter(tmp_path / "out" / "json", ("polyp",)).write(frame_of(disc(), "a.jpg", tmp_path / "in" / "a.jpg"))
    content = json.loads((tmp_path / "out" / "json" / "a.json").read_text(encoding="utf-8"))
    assert content["imagePath"] == "../../in/a.jpg"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"a\.json"):
        LabelMeWriter(tmp_path / "file", ("polyp",)).write(frame_of(disc()))
