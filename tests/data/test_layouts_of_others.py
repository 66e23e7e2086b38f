"""Data as other people and tools lay them out: read as they are meant, and as --unlabeled without their masks."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest

from endoseg_cli.data.clips.scored_clips import find_clips
from endoseg_cli.data.labels.layout import find_labeled, scan_labeled, scan_unlabeled
from endoseg_cli.data.labels.mask_reader import read_label
from endoseg_cli.data.sets.check import check_data
from endoseg_cli.errors import InputError
from endoseg_cli.inference.inputs.sources import find_sources
from endoseg_cli.pictures.images import is_picture, read_image, read_mask, write_png
from tests.data.drawing import save_pair

LAYOUTS = {
    "CVC-ClinicDB": ("Original/{}.tif", "Ground Truth/{}.tif"),
    "BKAI-IGH": ("train/train/{}.png", "train_gt/train_gt/{}.png"),
    "VOC": ("JPEGImages/{}.png", "SegmentationClass/{}.png"),
    "EndoVis": ("left_frames/{}.png", "ground_truth/{}.png"),
    "nnU-Net": ("imagesTr/{}_0000.png", "labelsTr/{}.png"),
    "folders beside": ("s01/{}.png", "s01_masks/{}.png"),
    "a folder of labels": ("s01/images/{}.png", "s01/Labels/{}.png"),
    "macOS": (
        unicodedata.normalize("NFD", "images/Łódź é {}.png"),
        unicodedata.normalize("NFC", "masks/Łódź é {}.png"),
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_pairs_are_found_and_masks_are_no_frames(tmp_path: Path, name: str) -> None:
    image, mask = LAYOUTS[name]
    for index in range(3):
        save_pair(tmp_path / image.format(index), tmp_path / mask.format(index), index)
    records = find_labeled(tmp_path)
    assert len(records) == 3 and not check_data(records, (), ()).faults
    assert {record.image for record in records} == {tmp_path / image.format(index) for index in range(3)}
    scan = scan_unlabeled([tmp_path])
    assert {record.image for record in scan.records} == {record.image for record in records}
    assert "3 masks" in scan.notes[0]
    told: list[str] = []
    assert {source.path for source in find_sources([str(tmp_path)], on_note=told.append)} == {r.image for r in records}
    assert "3 masks" in told[0]


def test_a_folder_that_only_ends_like_masks_stays_frames(tmp_path: Path) -> None:
    (tmp_path / "study_gt").mkdir()
    write_png(tmp_path / "study_gt" / "a.png", np.zeros((4, 4, 3), np.uint8))
    assert len(scan_unlabeled([tmp_path]).records) == 1


def test_mask_folders_beside_folders_of_frames_are_no_clips(tmp_path: Path) -> None:
    for index in range(3):
        save_pair(tmp_path / "s01" / f"{index}.png", tmp_path / "s01_masks" / f"{index}.png", index)
    (clip,) = find_clips(tmp_path)
    assert clip.name == "s01" and clip.masks is not None and len(clip.frames) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "file_name", "annotations"),
    [
        ("images/default/a.png", "a.png", "annotations/instances_default.json"),
        ("images/default/p1/a.png", "p1/a.png", "annotations/instances_default.json"),
        ("train2017/a.png", "a.png", "annotations/instances_train2017.json"),
        ("images/a.png", "..\\..\\media\\upload\\a.png", "result.json"),
        ("images/a.png", "/data/local-files/?d=media/a.png", "result.json"),
        ("images/a.png", "https://host/data/images/a.png?x=1", "result.json"),
        ("images/a.png", "C:\\work\\images\\a.png", "result.json"),
    ],
)
def test_pictures_are_found_where_tools_put_them(tmp_path: Path, place: str, file_name: str, annotations: str) -> None:
    save_pair(tmp_path / place, tmp_path / "m.png", 1)
    height, width = read_image(tmp_path / place).shape[:2]
    ring = [5.0, 5.0, 20.0, 5.0, 20.0, 15.0]
    content = {
        "images": [{"id": "1", "file_name": file_name, "width": str(width), "height": float(height)}],
        "categories": [{"id": 1, "name": "polyp"}],
        "annotations": [{"id": 1, "image_id": 1.0, "category_id": "1", "segmentation": [ring, [1, 1]]}],
    }
    (tmp_path / annotations).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / annotations).write_text(json.dumps(content))
    scan = scan_labeled(tmp_path / annotations)
    assert not scan.faults and [record.image for record in scan.records] == [tmp_path / place]
    assert 60 < read_label(scan.records[0].image, scan.records[0].mask).sum() < 90


def test_one_bad_size_is_one_fault_and_says_what_was_found(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": "wide", "height": 5}],
        "categories": [{"id": 1, "name": "polyp"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": {"size": [5, 6], "counts": [30]}}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    (fault,) = scan_labeled(tmp_path / "a.json").faults
    assert "'wide'" in fault.message


def test_a_folder_of_yolo_labels_and_a_cvat_file_are_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_pair(tmp_path / "images" / f"{name}.png", tmp_path / "other" / f"{name}.png", 1)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    (tmp_path / "labels" / "b.txt").write_text("")
    for file in (tmp_path / "other").iterdir():
        file.unlink()
    (tmp_path / "data.yaml").write_text("train: images\n")
    (tmp_path / "notes.txt").write_text("by hand\n")
    records = find_labeled(tmp_path)
    assert [record.mask.name for record in records] == ["a.txt", "b.txt"]
    masks = [read_label(record.image, record.mask) for record in records]
    assert masks[0].shape == read_image(records[0].image).shape[:2] and masks[0].any() and not masks[1].any()
    assert not check_data(records).faults

    height, width = masks[0].shape
    shape = '<polygon label="polyp" points="5,5;20,5;20,15"/>'
    images = f'<image id="0" name="images/a.png" width="{width}" height="{height}">{shape}</image>'
    (tmp_path / "annotations.xml").write_text(f"<annotations>{images}</annotations>")
    (record,) = find_labeled(tmp_path / "annotations.xml")
    assert record.image.name == "a.png" and read_label(record.image, record.mask).sum() > 60


def test_masks_of_32_bits_are_read(tmp_path: Path) -> None:
    disc = cv2.circle(np.zeros((30, 40), np.uint8), (20, 15), 8, 1, -1)
    for name, pixels in (
        ("float01", disc.astype(np.float32)),
        ("float255", disc.astype(np.float32) * 255),
        ("int32", disc.astype(np.int32)),
        ("int255", disc.astype(np.int32) * 255),
    ):
        cv2.imwrite(str(tmp_path / f"{name}.tif"), pixels)
        assert (read_mask(tmp_path / f"{name}.tif") == (disc > 0)).all(), name
    cv2.imwrite(str(tmp_path / "nan.tif"), np.full((4, 4), np.nan, np.float32))
    for reader in (read_mask, read_image):
        with pytest.raises(InputError, match="expected values from 0"):
            reader(tmp_path / "nan.tif")


@pytest.mark.parametrize(("bits", "dtype"), [(10, np.uint16), (12, np.uint16), (16, np.uint16), (8, np.uint8)])
def test_a_picture_is_as_bright_however_many_bits_it_has(tmp_path: Path, bits: int, dtype: type) -> None:
    ramp = np.tile(np.linspace(0, 1, 64), (16, 1))[..., None].repeat(3, 2)
    cv2.imwrite(str(tmp_path / "a.png"), (ramp * (2**bits - 1)).round().astype(dtype))
    assert np.abs(read_image(tmp_path / "a.png").astype(int) - np.rint(ramp * 255)).max() <= 1


def test_a_float_picture_up_to_255_is_not_white(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), np.full((4, 4, 3), 100, np.float32))
    assert (np.abs(read_image(tmp_path / "a.tif").astype(int) - 100) <= 2).all()  # some OpenCVs write it as LogLuv


def test_several_pages_are_refused(tmp_path: Path) -> None:
    pages = [np.full((8, 8, 3), value, np.uint8) for value in (10, 20, 30)]
    cv2.imwritemulti(str(tmp_path / "a.tif"), pages)
    with pytest.raises(InputError, match=r"found 3 pages or frames in .*a\.tif"):
        read_image(tmp_path / "a.tif")


def test_a_picture_is_known_by_its_content_where_its_name_says_nothing(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    for name in ("frame", "frame.dat", "shot.jfif"):
        (tmp_path / name).write_bytes((tmp_path / "a.png").read_bytes())
        assert is_picture(tmp_path / name)
    (tmp_path / "clip").write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(40))
    assert not is_picture(tmp_path / "clip") and not is_picture(tmp_path / "absent")
