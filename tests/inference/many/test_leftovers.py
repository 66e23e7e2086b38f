from __future__ import annotations

from pathlib import Path

import pytest

from endoseg_cli.inference.many.leftovers import no_parts_left, own_folder
from endoseg_cli.inference.write.output_paths import OutputConfig
from endoseg_cli.part_file import Claim, part_path
from tests.inference.brightness import targets_for


def test_a_job_that_stops_early_leaves_no_part_but_those_of_others(tmp_path: Path) -> None:
    theirs = Claim(tmp_path / "b.mp4")
    targets = [targets_for(tmp_path / name, masks=tmp_path / f"{name}.mp4") for name in ("a", "b", "c")]
    outputs = OutputConfig(records=tmp_path / "t.csv")
    for name in ("a.mp4", "t.csv", "z.mp4"):
        part_path(tmp_path / name).touch()
    part_path(tmp_path / "c.mp4").symlink_to(tmp_path / "somebody's")
    (tmp_path / "a.mp4").touch()
    with pytest.raises(KeyboardInterrupt), no_parts_left(targets, outputs):
        raise KeyboardInterrupt
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["a.mp4", "b.mp4.endoseg.part", "c.mp4.endoseg.part", "z.mp4.endoseg.part"]
    theirs.release()
    with no_parts_left(targets, outputs):
        pass
    assert theirs.part.exists()


def test_the_folder_of_a_job_is_its_own_and_goes_with_it(tmp_path: Path) -> None:
    with pytest.raises(KeyError), own_folder(tmp_path) as folder:
        (folder / "x").touch()
        assert folder.parent == tmp_path and folder.stat().st_mode & 0o77 == 0
        raise KeyError
    assert not list(tmp_path.iterdir())
