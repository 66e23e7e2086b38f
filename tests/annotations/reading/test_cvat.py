from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.annotations.reading.cvat import read_cvat
from endoseg_cli.annotations.shapes.polygons import within_a_pixel
from endoseg_cli.annotations.writing.cvat import CvatWriter
from endoseg_cli.errors import InputError, MissingInputError
from tests.annotations.drawn import frame_of, hard_masks


def cvat(folder: Path, shapes: str = "", image: str = 'name="a.png" width="6" height="5"') -> Path:
    path = folder / "a.xml"
    path.write_text(f"<annotations><version>1.1</version><image id='0' {image}>{shapes}</image></annotations>")
    return path


def test_what_is_written_comes_back_within_a_pixel(tmp_path: Path) -> None:
    masks = hard_masks()
    with CvatWriter(tmp_path / "a.xml", ("polyp",)) as writer:
        for name, mask in masks.items():
            writer.write(frame_of(mask, f"clip/{name}.png"))
    labels = read_cvat(tmp_path / "a.xml")
    assert not labels.faults and [picture.name for picture in labels.pictures] == [f"clip/{name}.png" for name in masks]
    for picture, mask in zip(labels.pictures, masks.values(), strict=True):
        assert within_a_pixel(picture.mask(), mask), picture.name


def test_shapes_are_united_and_background_and_points_count_nothing(tmp_path: Path) -> None:
    shapes = (
        '<polygon label="polyp" points="1,1;4,1;4,3;1,3"/><mask label="stone" rle="1, 1" left="0" top="4" width="2"'
        ' height="1"/><points label="polyp" points="5,4"/><polygon label="background" points="0,0;6,0;6,5;0,5"/>'
    )
    labels = read_cvat(cvat(tmp_path, shapes))
    expected = np.zeros((5, 6), np.bool_)
    expected[1:3, 1:4] = expected[4, 1] = True
    np.testing.assert_array_equal(labels.pictures[0].mask(), expected)
    assert labels.foreground == ("polyp", "stone") and not labels.faults


def test_an_ellipse_is_turned_about_its_middle(tmp_path: Path) -> None:
    shape = '<ellipse label="polyp" cx="30" cy="20" rx="12" ry="4" rotation="90"/>'
    mask = read_cvat(cvat(tmp_path, shape, 'name="a.png" width="60" height="40"')).pictures[0].mask()
    assert mask.sum() == pytest.approx(np.pi * 48, rel=0.05) and mask[10:30, 30].all() and not mask[20, :25].any()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ('<box label="polyp" xtl="1" ytl="1" xbr="3" ybr="3"/>', "found a box"),
        ('<polygon label="polyp" points="1,1;2,2"/>', "three points"),
        ('<polygon label="polyp" points="1,1;2,x;3,3"/>', "pairs of numbers"),
        ('<mask label="polyp" rle="1, 2" left="0" top="0" width="2" height="2"/>', "add up to 2x2"),
        ('<mask label="polyp" rle="4" left="5" top="0" width="2" height="2"/>', "inside the picture"),
        ('<mask label="polyp" rle="4" left="nan" top="0" width="2" height="2"/>', "a number as left"),
    ],
)
def test_shapes_that_cannot_be_understood_are_faults(tmp_path: Path, shape: str, message: str) -> None:
    (fault,) = read_cvat(cvat(tmp_path, shape)).faults
    assert message in fault and "shape 1 of image a.png" in fault and "a.xml" in fault


def test_files_that_are_no_cvat(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        read_cvat(tmp_path / "absent.xml")
    bomb = '<!DOCTYPE a [<!ENTITY x "xxxx"><!ENTITY y "&x;&x;">]><annotations><image name="&y;"/></annotations>'
    for text, message in ((bomb, "declares entities"), ("<a", "broken XML"), ("<a/>", "no images")):
        (tmp_path / "b.xml").write_text(text)
        with pytest.raises(InputError, match=message):
            read_cvat(tmp_path / "b.xml")
    (tmp_path / "b.xml").write_text("<annotations><track/></annotations>")
    with pytest.raises(InputError, match="tracks of a video"):
        read_cvat(tmp_path / "b.xml")
    (fault,) = read_cvat(cvat(tmp_path, image='name="a.png" width="0"')).faults
    assert "a width and a height" in fault


def test_names_that_xml_cannot_hold_leave_a_file_that_parses(tmp_path: Path) -> None:
    with CvatWriter(tmp_path / "a.xml", ("polyp\x01",)) as writer:
        writer.write(frame_of(next(iter(hard_masks().values())), "a\x02\udcff<&.png"))
    (picture,) = read_cvat(tmp_path / "a.xml").pictures
    assert picture.name == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}<&.png"
