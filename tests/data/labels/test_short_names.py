from __future__ import annotations

from pathlib import Path

from endoseg_cli.data.labels.short_names import short_names


def test_names_are_as_long_as_is_needed_to_tell_files_apart() -> None:
    files = [("x/anna/day1/a.png", 1), ("x/anna/day2/a.png", 1), ("x/anna/day2/b.png", 1), ("y/deep/c.png", 2)]
    names = short_names([(Path(path), count) for path, count in files])
    assert names == ["day1/a.png", "day2/a.png", "b.png", "deep/c.png"]


def test_a_longer_name_is_not_another_files_short_one() -> None:
    names = short_names([(Path("p/a.png"), 1), (Path("q/a.png"), 1), (Path("r/q/a.png"), 2)])
    assert len(set(names)) == 3 and names[0] == "p/a.png"


def test_the_same_file_twice_comes_to_an_end() -> None:
    first, second = short_names([(Path("/x/a.png"), 1), (Path("/x/y/../a.png"), 1)])
    assert first == second and first.endswith("x/a.png")
