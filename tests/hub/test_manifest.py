from __future__ import annotations

from pathlib import Path

import pytest

from endoseg_cli.errors import WeightsError
from endoseg_cli.hub.integrity import fault_of, sha256_of
from endoseg_cli.hub.manifest import TRAINING_DEFAULT, Entry, bundled_file, find_entry, is_commit, load_manifest
from endoseg_cli.networks.architecture.encoder_names import ENCODER_NAMES
from endoseg_cli.networks.architecture.unet import UNetConfig
from endoseg_cli.networks.files.models import DEFAULT_MODEL
from tests.hub.samples import BODY, ENTRY, SHA256


def test_bundled_entries_state_what_their_files_are() -> None:
    bundled = {name: entry for name, entry in load_manifest().items() if entry.bundled}
    assert DEFAULT_MODEL in bundled
    for entry in bundled.values():
        path = bundled_file(entry)
        if path.is_file():
            assert (entry.sha256, entry.size) == (sha256_of(path), path.stat().st_size), f"update {entry.name}"


def test_every_encoder_has_one_entry_pinned_to_a_commit_where_it_was_tried() -> None:
    entries = [entry for entry in load_manifest().values() if entry.encoder is not None]
    assert sorted(str(entry.encoder) for entry in entries) == sorted(ENCODER_NAMES)
    assert all(is_commit(entry.revision) or "not tried here" in entry.description for entry in entries)
    assert all(entry.licence == "Apache-2.0" for entry in entries)
    assert all(entry.name == f"{entry.encoder}-imagenet" for entry in entries)


def test_what_training_needs_is_the_encoder_it_uses_by_default() -> None:
    assert find_entry(TRAINING_DEFAULT).encoder == UNetConfig().encoder


def test_a_name_that_is_nearly_right() -> None:
    with pytest.raises(WeightsError, match="no weights are called resnet34-imagnet") as caught:
        find_entry("resnet34-imagnet")
    assert caught.value.hint == "did you mean resnet34-imagenet"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nrepo_id = 'x/y'\nbundled = true", "either bundled or have a repo_id"),
        ("[a]\nrepo_id = 'x'", "named owner/name"),
        ("[a]\nrepo_id = 'x/y'\nfilename = '../b'", "path inside the repository"),
        ("[a]\nrepo_id = 'x/y'\nsha256 = 'abc'", "64 hex digits"),
        ("[a]\nrepo_id = 'x/y'\nshape = 1", "shape"),
        ("[a", "manifest.toml"),
    ],
)
def test_a_manifest_with_a_fault(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(text)
    with pytest.raises(WeightsError, match=message):
        load_manifest(path)


def test_another_revision_is_another_file() -> None:
    entry = Entry(name="a", repo_id="x/y", revision="v1", sha256=SHA256, size=3)
    assert (entry.at("v2").sha256, entry.at("v2").size, entry.at("v1")) == (None, None, entry)
    with pytest.raises(WeightsError, match="no other revision"):
        find_entry(DEFAULT_MODEL).at("v2")


def test_a_file_whose_hash_nobody_knows_must_at_least_be_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(BODY)
    assert fault_of(path, ENTRY) is None
    path.write_bytes(BODY[:-1])
    assert "not a whole .safetensors" in str(fault_of(path, ENTRY))
