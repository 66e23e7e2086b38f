from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from endoseg_cli.annotations.shapes.drawing import draw_ring
from endoseg_cli.annotations.shapes.polygons import within_a_pixel
from endoseg_cli.annotations.writing.cvat import CvatWriter
from tests.annotations.drawn import SIZE, Mask, frame_of, hard_masks


def read(image: ElementTree.Element) -> Mask:
    """Read an image element as the format's description says."""
    mask = np.zeros((int(image.attrib["height"]), int(image.attrib["width"])), dtype=np.bool_)
    for shape in image.iter("polygon"):
        draw_ring(
            mask, np.array([[float(value) for value in pair.split(",")] for pair in shape.attrib["points"].split(";")])
        )
    for shape in image.iter("mask"):
        left, top, width, height = (int(shape.attrib[name]) for name in ("left", "top", "width", "height"))
        counts = [int(count) for count in shape.attrib["rle"].split(",")]
        crop = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)
        mask[top : top + height, left : left + width] |= crop
    return mask


def test_all_masks_come_back_within_a_pixel(tmp_path: Path) -> None:
    masks = hard_masks()
    with CvatWriter(tmp_path / "a.xml", ("polyp",)) as writer:
        for name, mask in masks.items():
            writer.write(frame_of(mask, f"{name}.png"))
    images = ElementTree.parse(tmp_path / "a.xml").getroot().findall("image")
    assert [(image.attrib["id"], image.attrib["name"]) for image in images] == [
        (str(number), f"{name}.png") for number, name in enumerate(masks)
    ]
    for image, mask in zip(images, masks.values(), strict=True):
        assert (int(image.attrib["height"]), int(image.attrib["width"])) == SIZE
        assert within_a_pixel(read(image), mask), image.attrib["name"]


def test_names_are_escaped_and_scores_are_attributes(tmp_path: Path) -> None:
    with CvatWriter(tmp_path / "a.xml", ('<"polyp">',)) as writer:
        writer.write(frame_of(hard_masks()["disc"], 'a&"b.png'))
    root = ElementTree.parse(tmp_path / "a.xml").getroot()
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/labels/label/name") == '<"polyp">'
    image = root.find("image")
    assert image is not None and image.attrib["name"] == 'a&"b.png'
    assert image[0].attrib["label"] == '<"polyp">' and image[0].findtext("attribute") == "0.7500"


def test_a_job_that_stops_leaves_a_part_file_that_reads(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), CvatWriter(tmp_path / "a.xml", ("polyp",)) as writer:
        writer.write(frame_of(hard_masks()["disc"]))
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a.xml.endoseg.part"]
    assert len(ElementTree.parse(tmp_path / "a.xml.endoseg.part").getroot().findall("image")) == 1
