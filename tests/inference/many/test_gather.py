from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from endoseg_cli.annotations.writing.regions import AnnotatedFrame, find_regions
from endoseg_cli.errors import InputError, explain
from endoseg_cli.inference.many.gather import Tables, Telling, result_of
from endoseg_cli.inference.many.messages import Advanced, Ended, Kept
from endoseg_cli.inference.many.spool import spool_file, spooled
from tests.inference.many.units import ended, inputs, unit
from tests.inference.test_job import Listener


class Table:
    """Remembers what is written into it."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def write(self, rows: Any) -> None:
        self.rows.append(rows)

    def finish(self) -> None: ...

    def abort(self) -> None: ...


def spool(folder: Path, first: int) -> None:
    """Keep a record, which here is a word, and a frame with one region."""
    mask = np.zeros((1, 6, 6), np.bool_)
    mask[0, 1:4, 2:5] = True
    regions = find_regions(mask, mask.astype(np.float32))
    with spooled(folder, first, wants_records=True, wants_annotations=True) as (records, annotations):
        assert records is not None and annotations is not None
        records.write([f"row of {first}"])  # type: ignore[list-item]
        annotations.write(AnnotatedFrame(name=PurePosixPath(f"{first}"), picture=None, size=(6, 6), regions=regions))


def test_rows_come_in_the_order_of_the_inputs_whatever_ends_first(tmp_path: Path) -> None:
    records, annotations = Table(), Table()
    tables = Tables(tmp_path, records, annotations)  # type: ignore[arg-type]
    units = [unit(0, "a.mp4"), unit(1, "b.png", "c.png"), unit(3, "d.mp4"), unit(4, "e.mp4")]
    for one in units:
        spool(tmp_path, one.first)
    tables.take(ended(units[2]))
    tables.take(ended(units[1]))
    assert records.rows == []
    tables.take(ended(units[0]))
    assert records.rows == [["row of 0"], ["row of 1"], ["row of 3"]]
    assert not spool_file(tmp_path, 3).exists() and spool_file(tmp_path, 4).exists()
    tables.take(Ended(unit=units[3], has_rows=False))  # of a process that was killed: what there is may be half
    assert len(records.rows) == 3
    assert [frame.name.name for frame in annotations.rows] == ["0", "1", "3"]
    assert all("outline" in vars(frame.regions[0]) for frame in annotations.rows)  # drawn before it was kept


def test_a_name_that_no_annotation_file_can_hold_fails_where_it_is_made(tmp_path: Path) -> None:
    with spooled(tmp_path, 0, wants_records=False, wants_annotations=True) as (_, annotations):
        assert annotations is not None
        frame = AnnotatedFrame(name=PurePosixPath("n\udcff.mp4"), picture=None, size=(6, 6), regions=())
        with pytest.raises(UnicodeEncodeError) as caught:
            annotations.write(frame)
    assert "a name is not UTF-8: n\\udcff.mp4" in explain(caught.value).message


def test_nothing_is_kept_where_no_table_is_wanted(tmp_path: Path) -> None:
    with spooled(tmp_path / "absent", 0, wants_records=False, wants_annotations=False) as sinks:
        assert sinks == (None, None)
    with spooled(tmp_path, 0, wants_records=True, wants_annotations=False) as (records, annotations):
        assert records is not None and annotations is None
    assert spool_file(tmp_path, 0).stat().st_size == 0


def test_progress_is_that_of_all_together(tmp_path: Path) -> None:
    (tmp_path / "b.part").touch()
    targets = inputs("a.mp4", "b.mp4", "c.png", "d.png")
    units = [unit(0, "a.mp4", frames=10), unit(1, "b.mp4", frames=20), unit(2, "c.png", "d.png", frames=2)]
    listener = Listener()
    telling = Telling(targets, units, listener)
    telling.take(Advanced(first=0, frames=4, total=12))
    telling.take(Advanced(first=1, frames=5, total=None))
    assert [(one.frames, one.total) for one in listener.progress] == [(4, 34), (9, 34)]
    telling.take(ended(units[0], frames=11))  # one less than the header said
    assert (listener.progress[-1].frames, listener.progress[-1].total) == (16, 33)
    telling.take(Kept(parts=(tmp_path / "b.part", tmp_path / "gone.part"), frames=5))
    telling.take(Kept(parts=(tmp_path / "gone.part",), frames=6))
    telling.take(Ended(unit=units[1], failures=((1, InputError("broken")),)))
    assert (listener.progress[-1].frames, listener.progress[-1].total) == (16, 18)
    telling.take(Ended(unit=units[2], outcomes=ended(units[2]).outcomes[:1], failures=((3, InputError("no")),)))
    assert (listener.progress[-1].frames, listener.progress[-1].total) == (18, 18)
    telling.finish()
    assert listener.heard == ["finished a.mp4", "failed b.mp4", "failed d.png", "kept 1 5", "finished 1 pictures"]


def test_results_are_in_the_order_of_the_inputs() -> None:
    targets = inputs("a.mp4", "b.mp4", "c.mp4")
    error = InputError("broken")
    all_ended = [
        ended(unit(2, "c.mp4")),
        Ended(unit=unit(1, "b.mp4"), failures=((1, error),)),
        ended(unit(0, "a.mp4")),
    ]
    result = result_of(targets, all_ended)
    assert [one.targets.source.path.name for one in result.outcomes] == ["a.mp4", "c.mp4"]
    assert result.failures == ((targets[1].source, error),) and result.damaged
