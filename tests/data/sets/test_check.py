from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.data.labels.layout import find_labeled, find_unlabeled
from endoseg_cli.data.sets.check import CHEAP_SAMPLE, DataReport, check_data, check_sources
from endoseg_cli.data.sets.sources import SourcesConfig
from endoseg_cli.errors import InputError
from tests.data.drawing import SIZE, draw_frame, draw_mask, save, save_pair, turn_by_exif


def make_set(root: Path, names: str, seed: int = 0) -> Path:
    for offset, name in enumerate(names):
        save_pair(root / "images" / f"{name}.png", root / "masks" / f"{name}.png", seed + offset)
    return root


def check(labeled: Path, val: Path | None = None, unlabeled: Path | None = None, cheap: bool = False) -> DataReport:
    return check_data(
        find_labeled(labeled),
        find_unlabeled([unlabeled]) if unlabeled else (),
        find_labeled(val) if val else (),
        cheap=cheap,
        workers=2,
    )


def test_counts_sizes_and_foreground_of_healthy_data(tmp_path: Path) -> None:
    root = make_set(tmp_path / "l", "abc")
    save(root / "images" / "p2" / "d.png", draw_frame(20, (20, 30)))
    save(root / "masks" / "p2" / "d.png", np.zeros((20, 30), dtype=np.uint8))
    save(tmp_path / "u" / "e.png", draw_frame(30))
    report = check(root, make_set(tmp_path / "v", "fg", 40), tmp_path / "u")
    assert report.faults == () and report.warnings == ()
    facts = report.labeled
    assert (facts.frames, facts.read, facts.groups) == (4, 4, 2)
    assert list(facts.sizes.items()) == [("64x48", 3), ("30x20", 1)]
    assert facts.foreground is not None and facts.foreground.with_lesion == 3
    share = float((draw_mask() > 0).mean())
    assert facts.foreground.quartiles == pytest.approx((share, share, share))
    assert {name: (of.masks, of.with_lesion) for name, of in facts.per_group.items()} == {"": (3, 3), "p2": (1, 0)}
    assert (report.val.frames, report.unlabeled.frames, report.unlabeled.foreground) == (2, 1, None)


def test_every_fault_of_every_file_is_listed_at_once(tmp_path: Path) -> None:
    root = make_set(tmp_path / "l", "abcdef")
    (root / "images" / "a.png").write_bytes(b"broken")
    save(root / "masks" / "b.png", draw_mask((SIZE[1], SIZE[0])))
    save(root / "masks" / "c.png", np.repeat(np.arange(4, dtype=np.uint8)[None], 48, 0).repeat(16, 1))
    (root / "masks" / "d.png").write_bytes(b"broken")
    save(tmp_path / "u" / "x.png", draw_frame(50)).write_bytes(b"")
    report = check(root, make_set(tmp_path / "v", "e", 4), tmp_path / "u")
    told = [(fault.kind, fault.path.relative_to(tmp_path).as_posix()) for fault in report.faults]
    assert told == [
        ("unreadable", "l/images/a.png"),
        ("size", "l/masks/b.png"),
        ("mask", "l/masks/c.png"),
        ("mask", "l/masks/d.png"),
        ("unreadable", "u/x.png"),
        ("leak", "v/images/e.png"),
    ]
    assert "expected a mask of 64x48" in report.faults[1].message
    assert "found 48x64, its sides swapped" in report.faults[1].message
    assert "0 in 25.0 %, 1 in 25.0 %" in report.faults[2].message
    with pytest.raises(InputError, match="6 faults"):
        report.raise_faults()


@pytest.mark.parametrize("cheap", [False, True])
def test_masks_without_any_foreground_are_a_fault(tmp_path: Path, cheap: bool) -> None:
    root = make_set(tmp_path, "abc")
    for name in "abc":
        save(root / "masks" / f"{name}.png", np.zeros(SIZE, dtype=np.uint8))
    (fault,) = check(root, cheap=cheap).faults
    assert fault.kind == "foreground" and "3 masks without any foreground" in fault.message


def test_inverted_masks_are_a_warning(tmp_path: Path) -> None:
    root = make_set(tmp_path, "ab")
    for name in "ab":
        save(root / "masks" / f"{name}.png", 255 - draw_mask())
    assert ["inverted" in warning for warning in check(root).warnings] == [True]


@pytest.mark.parametrize("cheap", [False, True])
def test_validation_frames_among_unlabelled_ones_are_a_fault(tmp_path: Path, cheap: bool) -> None:
    val = make_set(tmp_path / "v", "ab", 10)
    save(tmp_path / "u" / "copy.png", draw_frame(10))
    report = check(make_set(tmp_path / "l", "c"), val, tmp_path / "u", cheap)
    assert [(fault.kind, fault.path.name) for fault in report.faults] == [("leak", "a.png")]
    assert "unlabelled" in report.faults[0].message


def test_a_cheap_check_reads_a_sample_and_says_so(tmp_path: Path) -> None:
    root = tmp_path
    for index in range(CHEAP_SAMPLE + 8):
        save(root / "images" / f"{index:03d}.png", draw_frame(index, (8, 8)))
        save(root / "masks" / f"{index:03d}.png", np.zeros((8, 8), dtype=np.uint8))
    records = find_labeled(root)
    last = records[-1].mask
    save(last, draw_mask((8, 8), 2))
    counted: list[tuple[int, int]] = []
    report = check_data(records, cheap=True, on_progress=lambda done, total: counted.append((done, total)))
    assert report.cheap and report.labeled.frames == CHEAP_SAMPLE + 8
    assert report.labeled.read == CHEAP_SAMPLE
    assert counted == [(done, CHEAP_SAMPLE) for done in range(1, CHEAP_SAMPLE + 1)]
    assert report.faults == (), "the one lesion lies outside the sample, and is looked for"


def test_the_report_is_json(tmp_path: Path) -> None:
    root = make_set(tmp_path, "ab")
    (root / "images" / "a.png").write_bytes(b"broken")
    told = json.loads(json.dumps(check(root).to_dict()))
    assert told["ok"] is False and told["labeled"]["frames"] == 2 and told["labeled"]["sizes"] == {"64x48": 1}
    assert told["faults"][0]["kind"] == "unreadable" and told["faults"][0]["path"].endswith("a.png")


def test_sources_are_gathered_checked_and_shown(tmp_path: Path) -> None:
    root = make_set(tmp_path / "l", "abc")
    (root / "masks" / "c.png").unlink()
    config = SourcesConfig(labeled=(root,), val=make_set(tmp_path / "v", "d", 9), unlabeled=(tmp_path / "absent",))
    report = check_sources(config, contact_sheet=tmp_path / "sheet.png")
    assert [fault.kind for fault in report.faults] == ["partner", "missing"]
    assert (report.labeled.frames, report.val.frames) == (2, 1)
    assert (tmp_path / "sheet.png").is_file()


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_a_frame_that_exif_turns_and_not_its_mask_is_a_warning(tmp_path: Path, orientation: int) -> None:
    root = make_set(tmp_path, "ab")
    turn_by_exif(root / "images" / "b.png", orientation)
    report = check(root)
    assert report.faults == () and len(report.warnings) == 1
    assert "1 frame is shown turned or mirrored" in report.warnings[0]
    assert f"{root / 'images' / 'b.png'} and {root / 'masks' / 'b.png'}" in report.warnings[0]
    assert "turn it too" in report.warnings[0]
    turn_by_exif(root / "masks" / "b.png", orientation)
    assert check(root).warnings == ()


def test_a_quarter_turn_by_exif_is_told_from_none_by_the_masks_size(tmp_path: Path) -> None:
    root = make_set(tmp_path, "ab")
    turn_by_exif(root / "images" / "b.png", 6)
    (fault,) = check(root).faults
    assert "sides swapped: EXIF turns the image, so turn the mask too" in fault.message
    save(root / "masks" / "b.png", np.rot90(draw_mask(), -1).copy())
    report = check(root)
    assert (report.faults, report.warnings) == ((), ())


def test_a_quarter_turn_of_a_square_is_not_told_by_the_size(tmp_path: Path) -> None:
    turn_by_exif(save(tmp_path / "images" / "a.png", draw_frame(1, (40, 40))), 8)
    save(tmp_path / "masks" / "a.png", draw_mask((40, 40)))
    (warning,) = check(tmp_path).warnings
    assert "shown turned or mirrored" in warning
