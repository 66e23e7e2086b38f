"""Outputs that cannot or must not be written are refused before any work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.part_file import part_path
from endoseg_cli.video.writing.target import check_target


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "input.mp4"
    path.write_bytes(b"video")
    return path


def test_a_new_file_in_a_new_folder_is_fine(source: Path) -> None:
    target = source.parent / "new" / "folder" / "mask.MP4"
    check_target(target, source=source, overwrite=False)
    assert not target.parent.parent.exists(), "checking must not write"
    assert part_path(target).name == "mask.MP4.endoseg.part"


@pytest.mark.parametrize("name", ["mask.avi", "mask", "mask.png"])
def test_other_endings_are_refused_with_the_allowed_ones(source: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"\.mp4, \.m4v, \.mov, \.mkv"):
        check_target(source.parent / name, source=source, overwrite=False)


def test_the_input_is_never_overwritten(source: Path) -> None:
    link = source.parent / "other.mp4"
    link.symlink_to(source)
    for target in (source, link):
        with pytest.raises(OutputError, match="replace the input"):
            check_target(target, source=source, overwrite=True)


def test_an_existing_file_needs_leave(source: Path) -> None:
    target = source.parent / "mask.mp4"
    target.touch()
    with pytest.raises(OutputError, match="exists already") as caught:
        check_target(target, source=source, overwrite=False)
    assert "--overwrite" in (caught.value.hint or "")
    check_target(target, source=source, overwrite=True)


def test_a_folder_is_no_target(source: Path) -> None:
    (source.parent / "out.mp4").mkdir()
    with pytest.raises(OutputError, match="found a folder"):
        check_target(source.parent / "out.mp4", source=source, overwrite=True)


def test_a_file_is_no_parent_folder(source: Path) -> None:
    with pytest.raises(OutputError, match="not a folder"):
        check_target(source / "mask.mp4", source=source, overwrite=False)


def test_a_folder_without_permission(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = source.parent / "locked"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:  # root may write everywhere: answer as for others
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder)
    with pytest.raises(OutputError, match="no permission"):
        check_target(folder / "mask.mp4", source=source, overwrite=False)
