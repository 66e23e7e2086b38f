from __future__ import annotations

from pathlib import Path

import numpy as np

from endoseg_cli.data.labels.layout import UnlabeledRecord
from endoseg_cli.data.sets.frame_facts import FrameFacts, inspect_unlabeled
from endoseg_cli.data.sets.leaks import same_files, same_pictures, similar_pictures
from tests.data.drawing import draw_frame, save


def facts(*paths: Path) -> list[FrameFacts]:
    return [inspect_unlabeled(UnlabeledRecord(image=path, group="", name=path.stem)) for path in paths]


def test_the_same_pixels_in_another_format_are_a_fault_and_no_warning(tmp_path: Path) -> None:
    train = save(tmp_path / "a.png", draw_frame(0))
    copy, other = save(tmp_path / "copy.bmp", draw_frame(0)), save(tmp_path / "other.png", draw_frame(1))
    (fault,) = same_pictures(facts(train), facts(copy, other), "labelled")
    assert fault.kind == "leak" and fault.path == copy
    assert str(copy) in fault.message and str(train) in fault.message
    assert similar_pictures(facts(train), facts(copy, other), "labelled") is None


def test_a_near_copy_is_a_warning(tmp_path: Path) -> None:
    train, val = save(tmp_path / "a.png", draw_frame(0)), save(tmp_path / "b.jpg", draw_frame(0), 60)
    warning = similar_pictures(facts(train), facts(val), "unlabelled")
    assert warning is not None and warning.startswith("1 validation frames look almost like unlabelled ones")
    assert same_pictures(facts(train), facts(val), "unlabelled") == []


def test_black_and_unreadable_frames_are_no_leak(tmp_path: Path) -> None:
    black = np.zeros((20, 20, 3), dtype=np.uint8)
    paths = save(tmp_path / "a.png", black), save(tmp_path / "b.png", black)
    assert same_pictures(facts(paths[0]), facts(paths[1], tmp_path / "absent.png"), "labelled") == []


def test_files_are_compared_by_all_their_bytes(tmp_path: Path) -> None:
    train = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "absent.png"]
    val = [tmp_path / "copy.png", tmp_path / "same_size.png", tmp_path / "also_absent.png"]
    for path, content in zip([*train[:2], *val[:2]], [b"one!", b"two!", b"one!", b"six!"], strict=True):
        path.write_bytes(content)
    assert [(fault.kind, fault.path) for fault in same_files(train, val, "labelled")] == [("leak", val[0])]
