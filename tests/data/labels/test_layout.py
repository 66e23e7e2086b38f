from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from endoseg_cli.data.labels.layout import UnlabeledRecord, find_labeled, find_unlabeled, scan_labeled, scan_unlabeled
from endoseg_cli.errors import EndosegError, InputError, UsageError
from tests.data.drawing import draw_frame, save, save_pair, save_video


def touch(root: Path, *names: str) -> None:
    """Make empty files: finding records opens none of them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(root: Path) -> list[tuple[str, str, str]]:
    """Return name, image and mask of each record."""
    return [
        (record.name, str(record.image.relative_to(root)), str(record.mask.relative_to(root)))
        for record in find_labeled(root)
    ]


@pytest.mark.parametrize(
    ("image", "mask", "name"),
    [
        ("images/a.png", "masks/a.png", "a"),
        ("Image/a.JPG", "GT/a.bmp", "a"),
        ("imgs/a.tif", "ground_truth/a_mask.png", "a"),
        ("frames/a.jpeg", "Annotation/a-gt.png", "a"),
        ("images/p1/v2/a.png", "masks/p1/v2/a.png", "p1/v2/a"),
        ("p1/images/a.png", "p1/masks/a.png", "p1/a"),
        ("data_C1/images_C1/a.jpg", "data_C1/masks_C1/a_mask.jpg", "data_C1/C1/a"),
        ("a.jpg", "a_mask.png", "a"),
        ("p1/a.png", "p1/a_GT.png", "p1/a"),
        ("images/a.png", "images/a_label.png", "a"),
        ("images/frames_7/a.png", "masks/frames_7/a.png", "frames_7/a"),
        ("images/a.v2.png", "masks/a.v2.png", "a.v2"),
    ],
)
def test_the_usual_layouts_are_paired(tmp_path: Path, image: str, mask: str, name: str) -> None:
    touch(tmp_path, image, mask)
    assert found(tmp_path) == [(name, image, mask)]


def test_a_frame_whose_own_name_ends_like_a_mask_is_no_mask(tmp_path: Path) -> None:
    touch(tmp_path, "images/x_gt.png", "masks/x_gt.png")
    assert found(tmp_path) == [("x_gt", "images/x_gt.png", "masks/x_gt.png")]


def test_group_is_the_patients_folder_and_empty_in_a_flat_one(tmp_path: Path) -> None:
    touch(tmp_path, "images/p1/a.png", "masks/p1/a.png", "images/a.png", "masks/a.png")
    assert [(record.group, record.name) for record in find_labeled(tmp_path)] == [("", "a"), ("p1", "p1/a")]


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    touch(tmp_path, "images/alone.png", "masks/lost.png", "images/ok.png", "masks/ok.png")
    touch(tmp_path, "images/twin.png", "images/twin.jpg", "masks/twin.png")
    touch(tmp_path, "images/two.png", "masks/two.png", "masks/two_mask.png")
    scan = scan_labeled(tmp_path)
    assert [record.name for record in scan.records] == ["ok"]
    with pytest.raises(InputError) as caught:
        find_labeled(tmp_path)
    message = str(caught.value)
    assert message.startswith("4 faults in the data")
    for part in ("image without a mask: ", "mask without an image: ", "one image named twin", "one mask named two"):
        assert part in message
    assert "alone.png" in message and "lost.png" in message and "two_mask.png" in message


def test_many_faults_are_counted_after_ten(tmp_path: Path) -> None:
    touch(tmp_path, "masks/a.png", "images/a.png", *[f"images/lonely{index:02d}.png" for index in range(13)])
    with pytest.raises(InputError) as caught:
        find_labeled(tmp_path)
    assert sum("lonely" in detail for detail in caught.value.details) == 10
    assert caught.value.details[-1] == "and 3 more"


def test_images_alone_are_one_fault_that_names_the_folder_meant(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "images/b.png", "masks/a.png", "masks/b.png")
    (fault,) = scan_labeled(tmp_path / "images").faults
    assert "found 2 images and no mask" in fault.message
    assert fault.message.endswith(f"may be meant: {tmp_path.resolve()}")


@pytest.mark.parametrize(("name", "words"), [("absent", "found nothing"), ("file.txt", "found a file")])
def test_a_root_that_is_no_folder(tmp_path: Path, name: str, words: str) -> None:
    touch(tmp_path, "file.txt")
    with pytest.raises(InputError, match=words):
        find_labeled(tmp_path / name)


def test_an_empty_folder_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected images and masks, found none"):
        find_labeled(tmp_path)


def test_leavings_of_file_managers_are_skipped_and_other_files_noted(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "masks/a.png", "images/._a.png", "images/.DS_Store", "__MACOSX/b.png", "index.csv")
    scan = scan_labeled(tmp_path)
    assert not scan.faults and len(scan.records) == 1
    assert scan.notes == (f"left out of {tmp_path}: files that are no pictures (1 .csv)",)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "masks/a.png", "b.png", "b_mask.png")
    (tmp_path / "images" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert [record.name for record in find_labeled(tmp_path)] == ["a", "b"]


def test_an_unlabelled_record_has_no_field_for_a_mask() -> None:
    assert {field.name for field in dataclasses.fields(UnlabeledRecord)} == {"image", "group", "name"}


def test_frames_in_nested_folders_and_single_pictures(tmp_path: Path) -> None:
    touch(tmp_path, "clips/p1/a.png", "clips/p2/b.jpg", "one.png")
    records = find_unlabeled([tmp_path / "clips", tmp_path / "one.png", tmp_path / "clips"])
    assert [(record.group, record.image.name) for record in records] == [
        ("clips/p1", "a.png"),
        ("clips/p2", "b.jpg"),
        (tmp_path.name, "one.png"),
    ]


def test_masks_of_a_labelled_folder_are_not_taken_for_frames(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "masks/a.png", "images/b.png", "images/b_mask.png", "images/c_seg.png")
    scan = scan_unlabeled([tmp_path])
    assert [record.image.name for record in scan.records] == ["a.png", "b.png", "c_seg.png"]
    assert scan.notes == (f"left out of {tmp_path}: 2 masks",)


def test_frames_that_all_end_like_masks_are_frames(tmp_path: Path) -> None:
    touch(tmp_path, "a_label.png", "b_label.png")
    assert len(find_unlabeled([tmp_path])) == 2


def test_videos_become_frames_of_their_own_group(tmp_path: Path) -> None:
    save_video(tmp_path / "in" / "p1" / "clip.avi", frames=20, rate=10.0)
    save(tmp_path / "in" / "still.png", draw_frame(0))
    told: list[Path] = []
    scan = scan_unlabeled([tmp_path / "in"], 2.0, tmp_path / "cache", told.append)
    assert not scan.faults
    assert [record.group for record in scan.records] == ["in", *["in/p1/clip"] * 4]
    assert told == [tmp_path / "in" / "p1" / "clip.avi"]


def test_faults_of_unlabelled_paths_are_told_at_once(tmp_path: Path) -> None:
    touch(tmp_path, "broken.mp4", "notes.txt")
    (tmp_path / "empty").mkdir()
    paths = [tmp_path / name for name in ("broken.mp4", "absent", "notes.txt", "empty")]
    with pytest.raises(EndosegError) as caught:
        find_unlabeled(paths, 1.0, tmp_path / "cache")
    assert caught.value.message.startswith("4 faults in the data")
    for path in paths:
        assert any(str(path) in detail for detail in caught.value.details)


def test_a_rate_that_is_not_positive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--frames-per-second"):
        find_unlabeled([tmp_path], 0.0)


def test_records_of_two_folders_keep_their_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        save_pair(tmp_path / "images" / f"{name}.png", tmp_path / "masks" / f"{name}.png")
    assert [record.name for record in find_labeled(tmp_path)] == ["a", "b"]
