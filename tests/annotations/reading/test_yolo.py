from __future__ import annotations

from pathlib import Path

import pytest

from endoseg_cli.annotations.reading.yolo import is_yolo, read_yolo
from endoseg_cli.annotations.shapes.polygons import within_a_pixel
from endoseg_cli.annotations.writing.formats import AnnotationConfig
from endoseg_cli.annotations.writing.yolo import YoloWriter
from endoseg_cli.errors import InputError, MissingInputError, OutputError
from tests.annotations.drawn import SIZE, frame_of, hard_masks


@pytest.mark.parametrize("name", hard_masks())
def test_what_is_written_comes_back_within_a_pixel(tmp_path: Path, name: str) -> None:
    mask = hard_masks()[name]
    with YoloWriter(tmp_path, ("polyp",)) as writer:
        writer.write(frame_of(mask, f"{name}.png"))
    path = tmp_path / "labels" / f"{name}.txt"
    assert is_yolo(path) and within_a_pixel(read_yolo(path, SIZE).mask(), mask)


def test_a_folder_called_labels_takes_the_files_itself(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    with YoloWriter(folder, ("polyp",)) as writer:
        writer.write(frame_of(next(iter(hard_masks().values())), "a.png"))
    assert (folder / "a.txt").is_file() and (tmp_path / "data.yaml").is_file() and not (folder / "labels").exists()
    with pytest.raises(OutputError, match="holds annotations already"):
        AnnotationConfig(path=folder, format="yolo").check()


@pytest.mark.parametrize("text", ["0 0.5 0.5 0.2 0.2\n", "0 0.1 0.1 0.2 0.2 0.3\n", "0 0.1 nan 0.2 0.2 0.3 0.3\n"])
def test_boxes_and_odd_numbers_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text("\n" + text)
    with pytest.raises(InputError, match=r"line 2.*a\.txt"):
        read_yolo(tmp_path / "a.txt", (10, 10))


def test_other_texts_are_not_taken_for_labels(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Frames of patient 7\n")
    assert not is_yolo(tmp_path / "a.txt") and not is_yolo(tmp_path / "absent.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe0 1")
    assert not is_yolo(tmp_path / "b.txt")
    with pytest.raises(InputError, match=r"b\.txt"):
        read_yolo(tmp_path / "b.txt", (10, 10))
    with pytest.raises(MissingInputError):
        read_yolo(tmp_path / "absent.txt", (10, 10))
    (tmp_path / "empty.txt").touch()
    assert is_yolo(tmp_path / "empty.txt") and not read_yolo(tmp_path / "empty.txt", (10, 10)).mask().any()
