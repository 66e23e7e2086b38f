from __future__ import annotations

import json
from pathlib import Path

import pytest

from endoseg_cli.data.sets.split import read_split, write_split
from endoseg_cli.errors import InputError, MissingInputError, OutputError


def make_data(root: Path) -> None:
    for patient in ("p1", "p2"):
        for name in ("a", "b", "c"):
            for kind in ("images", "masks"):
                (root / kind / patient).mkdir(parents=True, exist_ok=True)
                (root / kind / patient / f"{patient}{name}.png").touch()
    (root / "masks" / "p1" / "p1c.png").unlink()
    for kind in ("images", "masks"):
        for patient in ("p1", "p2"):
            (root / kind / patient / "same.png").touch()


def write(path: Path, labeled: object = (), unlabeled: object = (), val: object = (), **more: object) -> Path:
    content = {"train": {"labeled": labeled, "unlabeled": unlabeled}, "val": val, **more}
    path.write_text(json.dumps(content, default=list))
    return path


@pytest.mark.parametrize("entry", ["p1a", "p1a.png", "p1/p1a", "images/p1/p1a.png", "p1a.jpg"])
def test_names_with_and_without_folder_and_ending(tmp_path: Path, entry: str) -> None:
    make_data(tmp_path / "data")
    split = read_split(write(tmp_path / "split.json", labeled=[entry]), tmp_path / "data")
    (record,) = split.labeled
    assert record.image == tmp_path / "data" / "images" / "p1" / "p1a.png"
    assert record.mask == tmp_path / "data" / "masks" / "p1" / "p1a.png"
    assert (record.group, record.name) == ("p1", "p1/p1a")


def test_paths_relative_and_absolute(tmp_path: Path) -> None:
    make_data(tmp_path)
    relative = {"image": "images/p1/p1a.png", "mask": "masks/p1/p1a.png"}
    absolute = {key: str(tmp_path / value.replace("p1", "p2")) for key, value in relative.items()}
    split = read_split(write(tmp_path / "split.json", labeled=[relative], val=[absolute]))
    assert [record.name for record in split.labeled + split.val] == ["p1/p1a", "p2/p2a"]


@pytest.mark.parametrize(
    "climbs", ["../elsewhere/{}.png", "{root}/../elsewhere/{}.png", "images/../../elsewhere/{}.png"]
)
def test_paths_out_of_the_root_need_leave(tmp_path: Path, climbs: str) -> None:
    make_data(tmp_path / "data")
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "data"
    for kind in ("image", "mask"):
        (tmp_path / "elsewhere" / f"{kind}.png").touch()
    entry = {kind: climbs.format(kind, root=root) for kind in ("image", "mask")}
    for lists in ({"labeled": [entry]}, {"unlabeled": [entry]}, {"val": [entry]}):
        file = write(tmp_path / "split.json", **lists)
        with pytest.raises(InputError, match=r"expected image below .*data, found .*elsewhere.*--outside-root allows"):
            read_split(file, root)
        split = read_split(file, root, outside=True)
        (image,) = [record.image for record in split.labeled + split.val] + [one.image for one in split.unlabeled]
        assert image.resolve() == (tmp_path / "elsewhere" / "image.png").resolve()


def test_a_link_below_the_root_is_the_users_own(tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    outside = tmp_path / "outside.png"
    outside.touch()
    (tmp_path / "data" / "linked.png").symlink_to(outside)
    split = read_split(write(tmp_path / "split.json", unlabeled=[{"image": "linked.png"}]), tmp_path / "data")
    assert split.unlabeled[0].image == tmp_path / "data" / "linked.png"


def test_an_unlabelled_entry_needs_no_mask_and_gets_none(tmp_path: Path) -> None:
    make_data(tmp_path)
    entries = ["p1c", {"image": "images/p2/p2a.png", "mask": "masks/absent.png"}]
    split = read_split(write(tmp_path / "split.json", unlabeled=entries, test=["anything"]))
    assert [record.name for record in split.unlabeled] == ["p1/p1c", "p2/p2a"]
    assert not hasattr(split.unlabeled[1], "mask")


def test_all_faulty_entries_are_told_at_once(tmp_path: Path) -> None:
    make_data(tmp_path)
    bad = ["p1c", "p1x", "same", 7, {"image": "images/p1/p1a.png"}, {"image": "images/absent.png", "mask": "m.png"}]
    with pytest.raises(InputError) as caught:
        read_split(write(tmp_path / "split.json", labeled=bad, val=["p2a"]))
    message = str(caught.value)
    assert message.startswith("7 faults in the data")
    assert "one mask for p1c, found none" in message
    assert "named p1x, found none" in message and "nearest name is p1" in message
    assert "one frame named same, found p1/same, p2/same" in message
    assert "found 7 in" in message
    assert 'an entry with "mask"' in message
    assert "absent.png, found no such file" in message and "m.png, found no such file" in message
    assert "--root" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"labeled": ["p1a"], "val": ["p1a"]}, "train.labeled and val"),
        ({"unlabeled": ["p1a"], "val": ["p1/p1a.png"]}, "train.unlabeled and val"),
        ({"labeled": ["p1a", "p1a"]}, "train.labeled and train.labeled"),
    ],
)
def test_a_frame_in_two_lists_is_a_fault(tmp_path: Path, lists: dict[str, list[str]], words: str) -> None:
    make_data(tmp_path)
    with pytest.raises(InputError, match=words):
        read_split(write(tmp_path / "split.json", **lists))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "expected a JSON split file"),
        ("[]", "found no train lists"),
        ('{"train": ["a"]}', "found no train lists"),
        ('{"train": {"labelled": []}}', "found labelled besides"),
        ('{"train": {"labeled": "a"}}', "something else than a list"),
    ],
)
def test_a_file_of_another_layout_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_split(path)
    assert "split.json" in caught.value.message


def test_a_missing_split_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such split file"):
        read_split(tmp_path / "absent.json")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    root = tmp_path / "data"
    split = read_split(write(tmp_path / "a.json", labeled=["p1a"], unlabeled=["p1c"], val=["p2a", "p2b"]), root)
    write_split(tmp_path / "b.json", split, root)
    assert str(tmp_path) not in (tmp_path / "b.json").read_text()
    assert read_split(tmp_path / "b.json", root) == split
    write_split(tmp_path / "c.json", split)
    assert [record.name for record in read_split(tmp_path / "c.json", root).val] == ["p2/p2a", "p2/p2b"]
    with pytest.raises(OutputError, match="cannot write"):
        write_split(tmp_path / "absent" / "d.json", split)
