from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.annotations.writing.coco import CocoWriter
from endoseg_cli.annotations.writing.labelme import LabelMeWriter
from endoseg_cli.data.labels.layout import find_labeled, scan_labeled
from endoseg_cli.data.labels.mask_reader import read_label
from endoseg_cli.data.sets.check import check_data
from endoseg_cli.data.sets.split import read_split
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.errors import InputError, MissingInputError
from endoseg_cli.pictures.images import read_mask, write_png
from tests.annotations.drawn import disc, frame_of
from tests.data.drawing import draw_frame, save

MASKS = {"p1/a": disc(9), "p1/b": disc(4), "p2/c": np.zeros_like(disc()), "p2/d": disc(12) & ~disc(6)}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Four pictures in images/, in a folder per patient."""
    for seed, name in enumerate(MASKS):
        save(tmp_path / "images" / f"{name}.png", draw_frame(seed, disc().shape))
    return tmp_path / "images"


def write_coco(path: Path, suffix: str = ".png") -> Path:
    with CocoWriter(path, ("polyp",)) as writer:
        for name, mask in MASKS.items():
            writer.write(frame_of(mask, name + suffix))
    return path


def write_labelme(folder: Path) -> Path:
    with LabelMeWriter(folder, ("polyp",)) as writer:
        for name, mask in MASKS.items():
            writer.write(frame_of(mask, f"{name}.png"))
    return folder


@pytest.mark.parametrize("place", ["labels.json", "images/_annotations.coco.json", "annotations/instances.json"])
def test_a_coco_file_labels_the_pictures_beside_it_or_in_images(tmp_path: Path, images: Path, place: str) -> None:
    records = find_labeled(write_coco(tmp_path / place))
    assert [(record.name, record.group, record.image) for record in records] == [
        (name, name[:2], images / f"{name}.png") for name in MASKS
    ]
    for record in records:
        shown = read_label(record.image, record.mask)
        assert np.mean(shown != MASKS[record.name]) < 0.02
        assert shown.any() == MASKS[record.name].any()


def test_labelme_files_beside_their_pictures_are_their_masks(tmp_path: Path, images: Path) -> None:
    records = find_labeled(write_labelme(images).parent)
    assert [(record.name, record.mask.name) for record in records] == [(name, f"{name[3:]}.json") for name in MASKS]
    assert all(np.mean(read_label(record.image, record.mask) != MASKS[record.name]) < 0.02 for record in records)


def test_labelme_files_in_a_folder_of_labels_are_masks_too(tmp_path: Path, images: Path) -> None:
    write_labelme(tmp_path / "labels")
    assert [record.name for record in find_labeled(tmp_path)] == list(MASKS)


def test_a_labelme_file_of_another_name_labels_the_picture_that_it_names(tmp_path: Path) -> None:
    save(tmp_path / "frames" / "a.png", draw_frame(0, disc().shape))
    LabelMeWriter(tmp_path / "x", ("polyp",)).write(frame_of(disc(), "other.png", tmp_path / "frames" / "a.png"))
    (record,) = find_labeled(tmp_path)
    assert record.name == "a" and read_label(record.image, record.mask).any()


def test_a_mask_picture_and_a_labelme_file_of_one_frame_are_a_fault(tmp_path: Path, images: Path) -> None:
    write_labelme(images)
    (tmp_path / "masks" / "p1").mkdir(parents=True)
    write_png(tmp_path / "masks" / "p1" / "a.png", disc())
    (fault,) = scan_labeled(tmp_path).faults
    assert "expected one mask named p1/a" in fault.message and "a.json" in fault.message


def test_mask_pictures_stay_what_they_are_beside_other_json_files(tmp_path: Path, images: Path) -> None:
    for name, mask in MASKS.items():
        (tmp_path / "masks" / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(tmp_path / "masks" / f"{name}.png", mask)
    (images / "p1" / "a.json").write_text('{"patient": 1}')
    scan = scan_labeled(tmp_path)
    assert not scan.faults and {record.mask.suffix for record in scan.records} == {".png"}
    assert any("1 .json" in note for note in scan.notes)
    for record in scan.records:
        np.testing.assert_array_equal(read_label(record.image, record.mask), read_mask(record.mask))


def test_a_labelme_file_without_its_picture_is_a_fault(tmp_path: Path, images: Path) -> None:
    write_labelme(images)
    (images / "p1" / "b.png").unlink()
    (fault,) = scan_labeled(tmp_path).faults
    assert "picture b.png" in fault.message and "b.json" in fault.message


def test_a_damaged_labelme_file_is_a_fault(tmp_path: Path, images: Path) -> None:
    write_labelme(images)
    (images / "p1" / "b.json").write_text("{")
    messages = [fault.message for fault in scan_labeled(tmp_path).faults]
    assert any("in JSON" in message and "b.json" in message for message in messages)


def test_pictures_that_a_coco_file_names_must_be_there_once(tmp_path: Path, images: Path) -> None:
    (images / "p1" / "a.png").unlink()
    scan = scan_labeled(write_coco(tmp_path / "labels.json"))
    assert [fault.kind for fault in scan.faults] == ["missing"] and len(scan.records) == 3
    assert "p1/a.png" in scan.faults[0].message and "labels.json" in scan.faults[0].message
    with pytest.raises(InputError) as raised:
        find_labeled(tmp_path / "labels.json")
    assert raised.value.hint is not None and "images/" in raised.value.hint


def test_a_coco_file_in_a_folder_must_be_named_itself(tmp_path: Path, images: Path) -> None:
    scan = scan_labeled(write_coco(tmp_path / "labels.json").parent)
    assert "labels.json" in " ".join(scan.notes) and [fault.kind for fault in scan.faults] == ["partner"]


def test_several_categories_are_named_when_they_become_one(tmp_path: Path, images: Path) -> None:
    with CocoWriter(tmp_path / "labels.json", ("polyp", "stone")) as writer:
        writer.write(frame_of(disc(), "p1/a.png"))
    (note,) = scan_labeled(tmp_path / "labels.json").notes
    assert "one lesion: polyp, stone" in note


@pytest.mark.parametrize(("text", "message"), [("{", "in JSON"), ("{}", "expected a COCO file"), ("[]", "COCO")])
def test_another_file_is_one_fault(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(InputError, match=message) as raised:
        find_labeled(tmp_path / "labels.json")
    assert "labels.json" in raised.value.message and "\n" not in raised.value.message


def test_a_picture_that_a_coco_file_does_not_name_is_refused(tmp_path: Path, images: Path) -> None:
    file = write_coco(tmp_path / "labels.json")
    with pytest.raises(InputError, match="found it not there"):
        read_label(save(images / "e.png", draw_frame(9)), file)
    with pytest.raises(MissingInputError, match=r"none\.json"):
        read_label(images / "p1" / "a.png", tmp_path / "none.json")


def test_a_file_that_changes_is_read_again(tmp_path: Path, images: Path) -> None:
    file, image = write_coco(tmp_path / "labels.json"), images / "p1" / "a.png"
    before = read_label(image, file)
    content = json.loads(file.read_text())
    content["annotations"] = []
    file.write_text(json.dumps(content))
    assert before.any() and not read_label(image, file).any()


def test_stores_checks_and_splits_take_annotations(tmp_path: Path, images: Path) -> None:
    file = write_coco(tmp_path / "labels.json")
    records = find_labeled(file)
    store = FrameStore([record.image for record in records], [record.mask for record in records], size=disc().shape)
    for index, mask in enumerate(MASKS.values()):
        shown = store.read(index)[1]
        assert shown is not None and np.mean(shown != mask) < 0.02
    report = check_data(records)
    assert not report.faults and report.labeled.foreground is not None and report.labeled.foreground.with_lesion == 3
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": {"labeled": [{"image": "images/p1/a.png", "mask": "labels.json"}]}}))
    (record,) = read_split(split).labeled
    assert read_label(record.image, record.mask).any()


def test_a_split_names_frames_with_labelme_files(tmp_path: Path, images: Path) -> None:
    write_labelme(images)
    (tmp_path / "split.json").write_text(json.dumps({"train": {"labeled": ["p1/a"]}, "val": ["p2/d"]}))
    split = read_split(tmp_path / "split.json")
    assert [record.mask.name for record in (*split.labeled, *split.val)] == ["a.json", "d.json"]


def test_labels_of_another_size_than_the_picture_are_a_fault(tmp_path: Path, images: Path) -> None:
    save(images / "p1" / "a.png", draw_frame(0, (20, 30)))
    report = check_data(find_labeled(write_coco(tmp_path / "labels.json")))
    assert [fault.kind for fault in report.faults] == ["size"]
