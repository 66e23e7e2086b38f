from __future__ import annotations

import socket
from pathlib import Path

import pytest

from endoseg_cli.errors import WeightsError
from endoseg_cli.hub.encoders import IMAGENET_ENCODERS, imagenet_encoder
from endoseg_cli.networks.encoders import ENCODER_NAMES


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


def test_every_encoder_has_a_file_at_a_fixed_commit() -> None:
    assert set(IMAGENET_ENCODERS) == set(ENCODER_NAMES)
    assert all(len(source.commit) == 40 for source in IMAGENET_ENCODERS.values())


def test_a_file_in_our_cache_needs_no_network(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "endoseg" / "encoders" / "resnet18.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    assert imagenet_encoder("resnet18") == file


def test_a_file_in_the_hubs_cache_needs_no_network(tmp_path: Path) -> None:
    source = IMAGENET_ENCODERS["resnet34"]
    folder = tmp_path / "hub" / f"models--{source.repository.replace('/', '--')}" / "snapshots" / source.commit
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    assert imagenet_encoder("resnet34") == folder / "model.safetensors"


def test_where_nobody_answers_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # a port that is ours, and on which nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(WeightsError, match="resnet50 are not in the cache") as error:
            imagenet_encoder("resnet50")
    assert error.value.hint is not None
    assert str(tmp_path / "cache" / "endoseg" / "encoders" / "resnet50.safetensors") in error.value.hint
