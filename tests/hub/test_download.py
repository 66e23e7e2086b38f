from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from endoseg_cli.errors import WeightsError
from endoseg_cli.hub.download import fetch, state
from endoseg_cli.hub.manifest import Entry
from tests.hub.samples import BODY, ENTRY, SHA256
from tests.hub.server import HubServer, Served


@pytest.mark.parametrize("redirect", ["none", "relative", "other host"])
def test_a_file_comes_whole_directly_and_through_redirects(hub: HubServer, redirect: str) -> None:
    hub.serve(Served(body=BODY, redirect=redirect))  # type: ignore[arg-type]
    steps: list[tuple[int, int | None]] = []
    path = fetch(ENTRY, endpoint=hub.url, on_progress=lambda done, total: steps.append((done, total)))
    assert path.read_bytes() == BODY
    assert steps[-1] == (len(BODY), len(BODY))


def test_what_is_cached_at_a_commit_needs_no_request(hub: HubServer) -> None:
    hub.serve(Served(body=BODY))
    assert state(ENTRY) == "remote"
    path = fetch(ENTRY, endpoint=hub.url)
    assert state(ENTRY) == "cached"
    before = len(hub.requests)
    assert fetch(ENTRY, endpoint=hub.url) == path and fetch(ENTRY, offline=True) == path
    assert len(hub.requests) == before


def test_a_branch_is_asked_for_again(hub: HubServer) -> None:
    hub.serve(Served(body=BODY), at="main")
    fetch(ENTRY, endpoint=hub.url, revision="main")
    before = len(hub.requests)
    path = fetch(ENTRY, endpoint=hub.url, revision="main")
    assert set(hub.methods()[before:]) == {"HEAD"}
    assert fetch(ENTRY, revision="main", offline=True) == path


def test_hf_endpoint_is_the_default_mirror(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.serve(Served(body=BODY))
    monkeypatch.setenv("HF_ENDPOINT", hub.url + "/")
    assert fetch(ENTRY).read_bytes() == BODY


def test_a_copy_lands_in_dest_under_the_entrys_name(hub: HubServer, tmp_path: Path) -> None:
    hub.serve(Served(body=BODY))
    path = fetch(ENTRY, endpoint=hub.url, dest=tmp_path / "new" / "dest")
    assert path == tmp_path / "new" / "dest" / "sample.safetensors"
    assert path.read_bytes() == BODY and not path.is_symlink()
    assert [file.name for file in path.parent.iterdir()] == ["sample.safetensors"]


@pytest.mark.parametrize("known_from", ["manifest", "server"])
def test_one_damaged_transfer_is_repeated(hub: HubServer, known_from: str) -> None:
    hub.serve(Served(body=BODY, corrupt_gets=1, lfs=known_from == "server"))
    entry = replace(ENTRY, sha256=SHA256) if known_from == "manifest" else ENTRY
    assert fetch(entry, endpoint=hub.url).read_bytes() == BODY
    assert hub.methods().count("GET") == 2


@pytest.mark.parametrize("known_from", ["manifest", "server"])
def test_two_damaged_transfers_fail_and_leave_nothing(hub: HubServer, hub_cache: Path, known_from: str) -> None:
    hub.serve(Served(body=BODY, corrupt_gets=9, lfs=known_from == "server"))
    entry = replace(ENTRY, sha256=SHA256) if known_from == "manifest" else ENTRY
    with pytest.raises(WeightsError, match=f"damaged twice: its SHA-256 is .* expected {SHA256}"):
        fetch(entry, endpoint=hub.url)
    assert hub.methods().count("GET") == 2
    assert state(entry) == "remote" and files_of_size(hub_cache, len(BODY)) == []


def test_a_file_damaged_in_the_cache_is_fetched_again(hub: HubServer) -> None:
    hub.serve(Served(body=BODY))
    path = fetch(ENTRY, endpoint=hub.url)
    path.resolve().write_bytes(BODY[:-1] + b"x")
    assert fetch(ENTRY, endpoint=hub.url).read_bytes() == BODY
    path.resolve().write_bytes(BODY[: len(BODY) // 2])
    with pytest.raises(WeightsError, match="not on this machine"):
        fetch(ENTRY, offline=True)


@pytest.mark.parametrize("fault", ["cut", "stalled"])
def test_a_broken_transfer_goes_on_where_it_stopped(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)
    hub.serve(Served(body=BODY, cut_gets=int(fault == "cut"), stalled_gets=int(fault == "stalled")))
    assert fetch(ENTRY, endpoint=hub.url).read_bytes() == BODY
    ranges = [wanted for method, _, wanted in hub.requests if method == "GET"]
    assert ranges[0] is None and ranges[1] is not None and int(ranges[1][6:-1]) > 0


def test_a_mirror_is_asked_without_xet(hub: HubServer) -> None:
    xet = {"X-Xet-Hash": "a" * 64, "Link": f'<{hub.url}/xet-read-token>; rel="xet-auth"'}
    hub.serve(Served(body=BODY, headers=xet))
    before = constants.HF_HUB_DISABLE_XET
    assert fetch(ENTRY, endpoint=hub.url).read_bytes() == BODY
    assert not [path for _, path, _ in hub.requests if "xet" in path]
    assert constants.HF_HUB_DISABLE_XET == before


def test_ctrl_c_leaves_nothing_that_looks_whole(hub: HubServer, hub_cache: Path) -> None:
    hub.serve(Served(body=BODY))

    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(ENTRY, endpoint=hub.url, on_progress=stop)
    assert state(ENTRY) == "remote" and files_of_size(hub_cache, 1) == []


def test_a_killed_download_leaves_nothing_that_looks_whole(hub: HubServer, hub_cache: Path) -> None:
    hub.serve(Served(body=BODY, stalled_gets=1))
    code = (
        "from endoseg_cli.hub.download import fetch; from endoseg_cli.hub.manifest import Entry;"
        f"fetch(Entry(name='sample', repo_id='org/name', revision={ENTRY.revision!r}), endpoint={hub.url!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "HF_HUB_CACHE": str(hub_cache)})
    while "GET" not in hub.methods():
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    assert all(path.name.endswith(".incomplete") for path in (hub_cache / "models--org--name" / "blobs").iterdir())
    assert state(ENTRY) == "remote"
    assert fetch(ENTRY, endpoint=hub.url).read_bytes() == BODY


def test_offline_says_what_to_do(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="not on this machine") as caught:
        fetch(ENTRY, offline=True)
    assert caught.value.hint is not None and "--from-dir" in caught.value.hint
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE"):
        fetch(ENTRY)


def test_a_bundled_entry_that_is_not_there(hub_cache: Path) -> None:
    entry = Entry(name="nothing-of-this-name", bundled=True)
    assert state(entry) == "bundled"
    with pytest.raises(WeightsError, match="it is not there"):
        fetch(entry)


def files_of_size(folder: Path, size: int) -> list[Path]:
    blobs = [path for path in folder.rglob("blobs/*") if path.is_file()]
    return [path for path in blobs if path.stat().st_size >= size]
