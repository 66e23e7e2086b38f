from __future__ import annotations

from pathlib import Path

import pytest

from endoseg_cli.annotations.writing.coco import CocoWriter
from endoseg_cli.annotations.writing.cvat import CvatWriter
from endoseg_cli.annotations.writing.formats import AnnotationConfig, parse_format
from endoseg_cli.annotations.writing.names import AnnotationFormat
from endoseg_cli.errors import OutputError, UsageError
from tests.annotations.drawn import disc, frame_of

PLACES: dict[AnnotationFormat, str] = {"coco": "a.json", "cvat": "a.xml", "labelme": "folder", "yolo": "folder"}


@pytest.mark.parametrize("name", PLACES)
def test_what_exists_is_replaced_only_when_asked(tmp_path: Path, name: AnnotationFormat) -> None:
    path = tmp_path / PLACES[name]
    AnnotationConfig(path=path, format=name).check()
    with AnnotationConfig(path=path, format=name).open(("polyp",)) as writer:
        writer.write(frame_of(disc()))
    with pytest.raises(OutputError, match="already") as raised:
        AnnotationConfig(path=path, format=name).check()
    assert "--overwrite" in str(raised.value)
    AnnotationConfig(path=path, format=name, overwrite=True).check()


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("coco", "a.xml", r"ending of \.json"),
        ("cvat", "a", r"ending of \.xml"),
        ("labelme", "a.json", "expected a folder"),
        ("yolo", "file", "expected a folder"),
    ],
)
def test_a_place_of_the_wrong_kind_is_refused(tmp_path: Path, name: AnnotationFormat, place: str, message: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=message):
        AnnotationConfig(path=tmp_path / place, format=name).check()


def test_a_folder_for_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="found a folder"):
        AnnotationConfig(path=tmp_path, format="coco").check()


def test_the_ending_says_the_format_where_none_is_given() -> None:
    assert parse_format(None, Path("a.JSON")) == "coco" and parse_format(None, Path("a.xml")) == "cvat"
    assert parse_format("labelme", Path("a")) == "labelme"
    with pytest.raises(UsageError, match="--annotation-format") as raised:
        parse_format(None, Path("a"))
    assert "coco|labelme|cvat|yolo" in str(raised.value)


@pytest.mark.parametrize("writer_type", [CocoWriter, CvatWriter])
def test_a_file_whose_end_cannot_be_written_is_closed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer_type: type[CocoWriter] | type[CvatWriter]
) -> None:
    def fail(text: str) -> None:
        raise OutputError("disk full")

    writer = writer_type(tmp_path / "out", ("polyp",))
    monkeypatch.setattr(writer._file, "write", fail)
    with pytest.raises(OutputError, match="disk full"), writer:
        pass
    assert writer._file.closed and not (tmp_path / "out").exists()
