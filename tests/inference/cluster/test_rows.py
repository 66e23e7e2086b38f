from __future__ import annotations

import gzip
import json
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from endoseg_cli.annotations.writing.formats import AnnotationConfig
from endoseg_cli.annotations.writing.regions import AnnotatedFrame, find_regions
from endoseg_cli.errors import InputError
from endoseg_cli.inference.cluster.rows import RowsWriter, read_rows, write_again
from endoseg_cli.inference.predict.masks import MaskConfig, segment
from endoseg_cli.inference.write.records import FrameRecord, RecordsWriter, frame_records


def sample() -> tuple[list[FrameRecord], AnnotatedFrame]:
    """Two regions, one of them with a hole, in a frame of odd sides."""
    probability = np.random.default_rng(0).random((1, 21, 33), np.float32) * 0.3
    probability[0, 2:9, 3:12] = 0.9
    probability[0, 4:6, 5:7] = 0.1
    probability[0, 15:18, 20:33] = 0.7
    found = segment(probability, (21, 33), MaskConfig(), None)
    records = frame_records(found, ("lesion",), source="/tmp/copy.mp4", frame=3, time=0.12, flags="damaged")
    regions = find_regions(found.mask, found.probability)
    frame = AnnotatedFrame(
        name=PurePosixPath("ä/f_000003.png"), picture=Path("/p/f.png"), size=(21, 33), regions=regions
    )
    return records, frame


@pytest.mark.parametrize("format", ["coco", "labelme"])
def test_tables_are_the_same_by_way_of_rows(tmp_path: Path, format: str) -> None:
    records, frame = sample()
    rows = RowsWriter(tmp_path / "rows.gz", final=Path)
    rows.records.write(records)
    rows.annotations.write(frame)
    rows.close()
    texts = []
    for name in ("direct", "again"):
        place = tmp_path / name / "labels.json" if format == "coco" else tmp_path / name / "labels"
        config = AnnotationConfig(path=place, format="coco" if format == "coco" else "labelme")
        with RecordsWriter(tmp_path / name / "t.csv") as table, config.open(("lesion",)) as annotations:
            if name == "direct":
                table.write(records)
                annotations.write(frame)
            else:
                write_again(tmp_path / "rows.gz", "s3://b/a.mp4", table, annotations, lambda picture: picture)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        texts.append({str(path.relative_to(tmp_path / name)): path.read_text() for path in files})
    assert len(texts[0]) == 2 and texts[0]["t.csv"].replace("/tmp/copy.mp4", "s3://b/a.mp4") == texts[1]["t.csv"]
    assert {**texts[0], "t.csv": ""} == {**texts[1], "t.csv": ""}


def test_rows_are_plain_values_and_say_where_a_picture_lies_now(tmp_path: Path) -> None:
    rows = RowsWriter(tmp_path / "rows.gz", final=lambda path: Path("/final") / path.name)
    rows.annotations.write(sample()[1])
    rows.close()
    [line] = gzip.open(tmp_path / "rows.gz", "rt").read().splitlines()
    assert json.loads(line)[1]["picture"] == "/final/f.png"
    seen: list[Path] = []
    with AnnotationConfig(path=tmp_path / "a.json", format="coco").open(("lesion",)) as annotations:
        write_again(tmp_path / "rows.gz", "a.mp4", None, annotations, seen.append)
    assert seen == [Path("/final/f.png")]


@pytest.mark.parametrize("damage", ["cut", "text"])
def test_damaged_rows_are_an_error_of_one_line(tmp_path: Path, damage: str) -> None:
    rows = RowsWriter(tmp_path / "rows.gz", final=lambda path: Path("/final") / path.name)
    rows.records.write(sample()[0])
    rows.close()
    whole = (tmp_path / "rows.gz").read_bytes()
    (tmp_path / "rows.gz").write_bytes(whole[:-9] if damage == "cut" else b"not rows")
    with pytest.raises(InputError, match=r"rows\.gz is damaged"):
        list(read_rows(tmp_path / "rows.gz"))
