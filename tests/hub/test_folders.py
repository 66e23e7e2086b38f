from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from endoseg_cli.errors import MissingInputError, OutputError, WeightsError
from endoseg_cli.hub.download import fetch, state
from endoseg_cli.hub.folders import copy_to
from tests.hub.samples import BODY, ENTRY, SHA256
from tests.hub.server import COMMIT, HubServer, Served


@pytest.mark.parametrize(
    "place",
    [
        "sample.safetensors",
        "org/name/model.safetensors",
        f"org/name/{COMMIT}/model.safetensors",
        f"models--org--name/snapshots/{COMMIT}/model.safetensors",
    ],
)
def test_a_file_from_another_machine_stays_usable(hub_cache: Path, tmp_path: Path, place: str) -> None:
    file = tmp_path / "stick" / place
    file.parent.mkdir(parents=True)
    file.write_bytes(BODY)
    path = fetch(ENTRY, from_dir=tmp_path / "stick")
    file.unlink()
    assert path.read_bytes() == BODY and state(ENTRY) == "cached"
    assert fetch(ENTRY, offline=True) == path


def test_what_dest_wrote_from_dir_reads(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.serve(Served(body=BODY))
    fetch(ENTRY, endpoint=hub.url, dest=tmp_path / "stick")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "hospital"))
    path = fetch(ENTRY, from_dir=tmp_path / "stick")
    assert path.is_relative_to(tmp_path / "hospital") and path.read_bytes() == BODY


def test_a_damaged_file_is_not_taken_over(hub_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "sample.safetensors").write_bytes(BODY[:-1] + b"x")
    with pytest.raises(WeightsError, match="is damaged: its SHA-256"):
        fetch(replace(ENTRY, sha256=SHA256), from_dir=tmp_path)
    (tmp_path / "sample.safetensors").write_bytes(BODY[:-1])
    with pytest.raises(WeightsError, match=r"is damaged: it is not a whole \.safetensors"):
        fetch(ENTRY, from_dir=tmp_path)
    assert state(ENTRY) == "remote"


def test_a_folder_without_the_file_or_no_folder(hub_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds no sample\.safetensors") as caught:
        fetch(ENTRY, from_dir=tmp_path)
    assert caught.value.hint is not None and "--dest" in caught.value.hint
    with pytest.raises(MissingInputError, match="no folder at"):
        fetch(ENTRY, from_dir=tmp_path / "none")


def test_a_copy_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(BODY)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        copy_to(source, tmp_path / "file" / "target")
    (tmp_path / "target").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        copy_to(source, tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "source", "target"]
