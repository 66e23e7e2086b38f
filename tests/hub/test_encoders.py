from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from endoseg_cli.errors import WeightsError
from endoseg_cli.hub.encoders import imagenet_encoder
from endoseg_cli.hub.folders import installed_file
from endoseg_cli.hub.manifest import find_entry, is_commit
from endoseg_cli.networks.architecture.encoder_names import ENCODER_NAMES


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


def test_every_encoder_that_was_tried_has_a_file_at_a_fixed_commit() -> None:
    entries = [find_entry(f"{encoder}-imagenet") for encoder in ENCODER_NAMES]
    assert [entry.encoder for entry in entries] == list(ENCODER_NAMES)
    assert all(is_commit(entry.revision) or "not tried here" in entry.description for entry in entries)


def test_a_file_in_our_cache_needs_no_network() -> None:
    file = installed_file(find_entry("resnet18-imagenet"))
    file.parent.mkdir(parents=True)
    save_file({"conv1.weight": torch.zeros(1)}, file)
    assert imagenet_encoder("resnet18") == file


def test_where_nobody_answers_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # a port that is ours, and on which nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(WeightsError, match="resnet50 cannot be had") as error:
            imagenet_encoder("resnet50")
    assert error.value.hint is not None and "--encoder-weights none" in error.value.hint
