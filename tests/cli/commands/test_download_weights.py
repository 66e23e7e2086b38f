from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from endoseg_cli.hub.manifest import find_entry
from tests.hub.command import exit_code
from tests.hub.conftest import hub_cache as hub_cache
from tests.hub.samples import BODY, SHA256
from tests.hub.server import HubServer, Served, running_server

RESNET34 = find_entry("resnet34-imagenet")


@pytest.fixture
def mirror(hub_cache: Path) -> Iterator[HubServer]:
    """Give a mirror that has the encoder that training needs, and a model of someone's own."""
    with running_server() as server:
        assert RESNET34.repo_id is not None
        server.serve(Served(body=BODY), RESNET34.repo_id, at=RESNET34.revision)
        server.serve(Served(body=BODY), "clinic/stones", "v2/net.safetensors", at="main")
        server.serve(Served(body=BODY), "clinic/stones", "v2/net.safetensors", at="v2")
        yield server


def test_without_a_name_what_train_needs_comes(mirror: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("download-weights", "--endpoint", mirror.url) == 0
    out, err = capsys.readouterr()
    assert Path(out.strip()).read_bytes() == BODY
    states = {line.split()[0]: line.split()[1] for line in err.splitlines() if line.startswith(("poly", "resnet"))}
    assert states == {
        "polyp-lite": "bundled",
        "resnet18-imagenet": "remote",
        "resnet34-imagenet": "cached",
        "resnet50-imagenet": "remote",
    }


def test_list_fetches_nothing(mirror: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("download-weights", "--list") == 0
    assert "resnet34-imagenet" in capsys.readouterr().out
    assert exit_code("download-weights", "--list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["files"] == []
    assert {row["name"]: row["state"] for row in listed["weights"]}["resnet34-imagenet"] == "remote"
    assert mirror.requests == []


def test_json_and_dest(mirror: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--endpoint", mirror.url, "--dest", tmp_path / "d", "--json"]
    assert exit_code("download-weights", "resnet34-imagenet", *options) == 0
    path = tmp_path / "d" / "resnet34-imagenet.safetensors"
    file = {"name": "resnet34-imagenet", "path": str(path), "bytes": len(BODY), "sha256": SHA256}
    assert json.loads(capsys.readouterr().out)["files"] == [file]


def test_hf_endpoint_and_ones_own_repository(
    mirror: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", mirror.url)
    own = ["--repo", "clinic/stones", "--file", "v2/net.safetensors"]
    assert exit_code("download-weights", *own) == 0
    assert exit_code("download-weights", *own, "--revision", "v2") == 0
    assert all(Path(line).read_bytes() == BODY for line in capsys.readouterr().out.splitlines())
    assert {path.split("/")[4] for _, path, _ in mirror.requests} == {"main", "v2"}
    assert exit_code("download-weights", *own, "--revision", "v3") == 5


def test_a_hospital_without_a_network(
    hub_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert exit_code("download-weights", "resnet34-imagenet", "--offline") == 5
    assert exit_code("download-weights", "resnet34-imagenet") == 5
    err = capsys.readouterr().err
    assert err.count("error: ") == 2 and "cannot be reached" in err and "--from-dir" in err
    (tmp_path / "resnet34-imagenet.safetensors").write_bytes(BODY)
    assert exit_code("download-weights", "resnet34-imagenet", "--from-dir", tmp_path) == 0
    assert exit_code("download-weights", "resnet34-imagenet", "--offline") == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--repo", "a/b"], 2),
        (["--repo", "a/b", "--file", "c", "resnet34-imagenet"], 2),
        (["--list", "resnet34-imagenet"], 2),
        (["--list", "--dest", "somewhere"], 2),
        (["--offline", "--endpoint", "http://127.0.0.1:9"], 2),
        (["resnet35"], 5),
        (["--repo", "a", "--file", "c"], 5),
        (["polyp-lite", "--revision", "v2"], 5),
    ],
)
def test_wrong_use(hub_cache: Path, options: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("download-weights", *options) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and "internal" not in err
