from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from endoseg_cli.data.sets.sources import SourcesConfig, gather_sources
from endoseg_cli.data.sets.split import Split, write_split
from endoseg_cli.errors import MissingInputError, UsageError


def make_set(root: Path, *names: str) -> Path:
    for name in names:
        for kind in ("images", "masks"):
            path = root / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "found none of them"),
        ({"labeled": (Path("a"),), "root": Path("r")}, "--root"),
        ({"labeled": (Path("a"),), "outside_root": True}, "--outside-root"),
        ({"split": Path("s"), "labeled": (Path("a"),)}, "--split"),
        ({"split": Path("s"), "val_fraction": 0.2}, "--split"),
        ({"labeled": (Path("a"),), "val": Path("v"), "val_fraction": 0.2}, "--val and --val-fraction"),
        ({"labeled": (Path("a"),), "val_fraction": 1.0}, "--val-fraction"),
        ({"unlabeled": (Path("a"),), "frames_per_second": -1.0}, "--frames-per-second"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        SourcesConfig(**options)


def test_several_labelled_folders_and_a_validation_folder(tmp_path: Path) -> None:
    first, second = make_set(tmp_path / "a", "x"), make_set(tmp_path / "b", "y", "z")
    config = SourcesConfig(labeled=(first, second), val=make_set(tmp_path / "v", "w"))
    sources = gather_sources(config)
    assert [record.name for record in sources.labeled] == ["x", "y", "z"]
    assert [record.name for record in sources.val] == ["w"]
    assert sources.faults == () and sources.warnings == ()


def test_a_fraction_sets_whole_patients_aside_and_warns_of_flat_folders(tmp_path: Path) -> None:
    nested = make_set(tmp_path / "n", *[f"p{patient}/{name}" for patient in range(4) for name in "abc"])
    sources = gather_sources(SourcesConfig(labeled=(nested,), val_fraction=0.25))
    assert {len(sources.labeled), len(sources.val)} == {9, 3} and sources.warnings == ()
    assert len({record.group for record in sources.val}) == 1
    flat = make_set(tmp_path / "f", *"abcd")
    sources = gather_sources(SourcesConfig(labeled=(flat,), val_fraction=0.25))
    assert len(sources.val) == 1 and "one folder" in sources.warnings[0]


def test_faults_do_not_hide_behind_a_fraction_of_nothing(tmp_path: Path) -> None:
    sources = gather_sources(SourcesConfig(labeled=(tmp_path / "absent",), val_fraction=0.25))
    assert [fault.kind for fault in sources.faults] == ["missing"]


def test_a_split_file_with_more_unlabelled_frames(tmp_path: Path) -> None:
    root = make_set(tmp_path / "d", *"abc")
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": {"labeled": ["a"], "unlabeled": ["b", "nowhere"]}, "val": ["c"]}))
    extra = make_set(tmp_path / "e", "x")
    sources = gather_sources(SourcesConfig(split=split, root=root, unlabeled=(extra / "images",)))
    images = [record.image for record in (*sources.labeled, *sources.val)]
    names = [path.stem for path in (*images, *(record.image for record in sources.unlabeled))]
    assert names == ["a", "c", "b", "x"]
    assert [fault.kind for fault in sources.faults] == ["entry"]


def fill(root: Path) -> Path:
    """Give every picture bytes of its own."""
    for path in root.rglob("*.png"):
        path.write_bytes(str(path.relative_to(root)).encode())
    return root


def test_a_second_round_keeps_the_first_ones_validation_frames_and_trains_on_all_that_is_new(tmp_path: Path) -> None:
    first = fill(make_set(tmp_path / "frames", *[f"p{patient}/{name}" for patient in range(4) for name in "abc"]))
    before = gather_sources(SourcesConfig(labeled=(first,), val_fraction=0.25))
    run = tmp_path / "run"
    run.mkdir()
    write_split(run / "split.json", Split(labeled=before.labeled, unlabeled=(), val=before.val))
    new = fill(make_set(tmp_path / "next", *[f"videos/v{n}/{name}" for n in range(2) for name in "xy"]))
    after = gather_sources(SourcesConfig(labeled=(first, new), val_from=run))
    assert {record.image for record in after.val} == {record.image.resolve() for record in before.val}
    assert len(after.labeled) == len(before.labeled) + 4 and after.faults == ()


def test_unlabelled_copies_of_labelled_frames_are_left_out_with_a_note(tmp_path: Path) -> None:
    labeled = fill(make_set(tmp_path / "frames", *[f"p{patient}/a" for patient in range(4)]))
    pool = tmp_path / "pool"
    pool.mkdir()
    for number, image in enumerate(sorted((labeled / "images").rglob("*.png"))):
        (pool / f"copy{number}.png").write_bytes(image.read_bytes())
    (pool / "own.png").write_bytes(b"own")
    sources = gather_sources(SourcesConfig(labeled=(labeled,), unlabeled=(pool,), val_fraction=0.25))
    assert [record.image.name for record in sources.unlabeled] == ["own.png"]
    assert any("4 unlabelled frames are copies" in warning for warning in sources.warnings)


@pytest.mark.parametrize("seed", range(8))
def test_the_videos_of_a_second_folder_are_not_one_patient(tmp_path: Path, seed: int) -> None:
    first = make_set(tmp_path / "frames", *[f"p{patient}/{name}" for patient in range(3) for name in "ab"])
    new = make_set(tmp_path / "next", *[f"videos/v{n}/{name}" for n in range(5) for name in "xy"])
    sources = gather_sources(SourcesConfig(labeled=(first, new), val_fraction=0.2, seed=seed))
    assert any(record.group.startswith("videos/") for record in sources.labeled), "some of the new frames train"
    assert not {record.group for record in sources.labeled} & {record.group for record in sources.val}


def test_a_run_without_validation_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--val-from"):
        SourcesConfig(labeled=(tmp_path,), val_from=tmp_path, val_fraction=0.2)
    with pytest.raises(MissingInputError, match=r"split\.json"):
        gather_sources(SourcesConfig(labeled=(make_set(tmp_path / "f", "a"),), val_from=tmp_path))
