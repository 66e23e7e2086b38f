"""Files that have their final name only when they are complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from endoseg_cli.errors import OutputError
from endoseg_cli.part_file import FinishOrAbort, PartFile, write_whole


class Writer(FinishOrAbort):
    def __init__(self) -> None:
        self.ended = ""

    def finish(self) -> None:
        self.ended += "finished"

    def abort(self) -> None:
        self.ended += "aborted"


def test_leaving_finishes_and_an_exception_aborts_and_goes_on() -> None:
    with Writer() as good:
        pass
    bad = Writer()
    with pytest.raises(KeyError), bad:
        raise KeyError
    assert (good.ended, bad.ended) == ("finished", "aborted")


def test_the_final_name_appears_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.txt"
    file = PartFile(path)
    file.write("caf\udce9\n")  # a file name that is not UTF-8
    assert not path.exists() and not file.closed
    file.finish()
    assert path.read_bytes() == b"caf\xe9\n" and not file.part.exists() and file.closed


def test_a_small_file_is_written_in_one_go_into_a_new_folder(tmp_path: Path) -> None:
    for content in ("± 1", b"\xff"):
        write_whole(tmp_path / "new" / "report.html", content, durable=True)
        read = (tmp_path / "new" / "report.html").read_bytes()
        assert read == (content.encode("utf-8") if isinstance(content, str) else content)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]


def test_what_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for write in (PartFile, lambda path: write_whole(path, "text")):
        with pytest.raises(OutputError, match=r"cannot write .*out\.txt"):
            write(tmp_path / "file" / "out.txt")
    assert (tmp_path / "file").read_text() == "in the way"
