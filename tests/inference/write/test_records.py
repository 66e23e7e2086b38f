from __future__ import annotations

import csv
import json
import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.inference.predict.masks import Segmentation
from endoseg_cli.inference.write.records import FrameRecord, RecordsWriter, check_records_path, frame_records

COLUMNS = (
    "input frame time class_name foreground_pixels raw_foreground_pixels foreground_fraction regions box_left"
    " box_top box_width box_height centroid_x centroid_y mean_confidence mean_uncertainty refined isolated"
    " view_left view_top view_width view_height flags"
).split()


def segmentation() -> Segmentation:
    """Two classes: a box of probability 0.9 with a second speck, and nothing at 0.5."""
    probability = np.zeros((2, 10, 20), np.float32)
    probability[0, 2:6, 5:15] = 0.9
    probability[0, 9, 0] = 0.7
    probability[1] = 0.5
    return Segmentation(seen=probability, mask=probability > 0.5)


def records(flags: str = "damaged") -> list[FrameRecord]:
    return frame_records(segmentation(), ("polyp", "tool"), source="a.mp4", frame=7, time=0.28, flags=flags)


def test_a_record_says_what_the_mask_shows() -> None:
    polyp, tool = records()
    assert (polyp.input, polyp.frame, polyp.time) == ("a.mp4", 7, 0.28)
    assert (polyp.class_name, polyp.flags) == ("polyp", "damaged")
    assert (polyp.foreground_pixels, polyp.foreground_fraction, polyp.regions) == (41, 41 / 200, 2)
    assert (polyp.box_left, polyp.box_top, polyp.box_width, polyp.box_height) == (5, 2, 10, 4)
    assert (polyp.centroid_x, polyp.centroid_y) == (9.5, 3.5)
    assert polyp.mean_confidence == pytest.approx((40 * 0.9 + 0.7) / 41)
    h = [-p * math.log(p) - (1 - p) * math.log(1 - p) for p in (0.9, 0.7)]
    assert polyp.mean_uncertainty == pytest.approx((40 * h[0] + h[1]) / 200, rel=1e-5)
    assert (tool.class_name, tool.foreground_pixels, tool.regions, tool.box_left, tool.centroid_y) == (
        "tool",
        0,
        0,
        None,
        None,
    )
    assert tool.mean_confidence is None and tool.mean_uncertainty == pytest.approx(math.log(2), rel=1e-5)


def test_a_refined_frame_keeps_what_the_mask_was_before() -> None:
    polyp, tool = records()
    assert (polyp.raw_foreground_pixels, polyp.refined, polyp.isolated) == (41, False, "")
    raw = np.zeros((2, 10, 20), np.bool_)
    raw[1, 0, :3] = True
    refined = replace(segmentation(), raw_mask=raw, isolated=("false_negative", None))
    polyp, tool = frame_records(refined, ("polyp", "tool"), source="a.mp4", frame=7, time=0.28, flags="")
    assert (polyp.foreground_pixels, polyp.raw_foreground_pixels) == (41, 0)
    assert (tool.foreground_pixels, tool.raw_foreground_pixels) == (0, 3)
    assert (polyp.refined, polyp.isolated, tool.isolated) == (True, "false_negative", "")


def test_csv_has_a_header_and_a_row_per_record(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lesions.csv"
    with RecordsWriter(path) as writer:
        writer.write(records())
        assert not path.exists() and writer.part.exists()
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == COLUMNS == [field.name for field in fields(FrameRecord)]
    assert (
        rows[0]["time"] == "0.28" and rows[0]["foreground_pixels"] == "41" and rows[0]["mean_confidence"] == "0.895122"
    )
    assert rows[1]["box_left"] == rows[1]["mean_confidence"] == ""
    assert not writer.part.exists()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_list(tmp_path: Path, count: int) -> None:
    path = tmp_path / "lesions.JSON"
    with RecordsWriter(path) as writer:
        for _ in range(count):
            writer.write(records())
    rows = json.loads(path.read_text(encoding="utf-8"))
    assert len(rows) == 2 * count
    if rows:
        assert list(rows[0]) == COLUMNS and rows[1]["box_left"] is None and rows[0]["box_left"] == 5


@pytest.mark.parametrize("name", ["lesions.csv", "lesions.json"])
def test_an_interruption_leaves_a_whole_part_file_and_no_final_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(KeyboardInterrupt), RecordsWriter(path) as writer:
        writer.write(records())
        raise KeyboardInterrupt
    text = (tmp_path / f"{name}.endoseg.part").read_text(encoding="utf-8")
    rows = json.loads(text) if name.endswith("json") else list(csv.DictReader(text.splitlines()))
    assert len(rows) == 2 and not path.exists()


def test_names_that_need_quoting_and_names_that_are_not_utf_8_come_back(tmp_path: Path) -> None:
    path = tmp_path / "lesions.csv"
    names = ['a "b", c.mp4', "Koloskopie Müller.mp4", "M\udcfcller.mp4"]
    with RecordsWriter(path) as writer:
        writer.write([replace(records()[0], input=name) for name in names])
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        assert [row["input"] for row in csv.DictReader(file)] == names


def test_a_table_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*file/t\.csv\.endoseg\.part"):
        RecordsWriter(tmp_path / "file" / "t.csv")
    with pytest.raises(OutputError, match=r"cannot write .*/t\.csv"), RecordsWriter(tmp_path / "t.csv"):
        (tmp_path / "t.csv").mkdir()


def test_paths_are_checked_beforehand(tmp_path: Path) -> None:
    check_records_path(tmp_path / "t.csv", overwrite=False)
    for name in ("t.txt", "t", "t.csv.gz"):
        with pytest.raises(UsageError, match=r"--records .*: expected an ending of \.csv or \.json"):
            check_records_path(tmp_path / name, overwrite=False)
    (tmp_path / "t.csv").touch()
    with pytest.raises(OutputError, match="exists already"):
        check_records_path(tmp_path / "t.csv", overwrite=False)
    check_records_path(tmp_path / "t.csv", overwrite=True)
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        check_records_path(tmp_path / "d.csv", overwrite=True)


def test_a_file_whose_end_cannot_be_written_is_closed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(text: str) -> None:
        raise OutputError("disk full")

    writer = RecordsWriter(tmp_path / "out.json")
    monkeypatch.setattr(writer._file, "write", fail)
    with pytest.raises(OutputError, match="disk full"), writer:
        pass
    assert writer._file.closed and not (tmp_path / "out.json").exists()
