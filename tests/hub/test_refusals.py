from __future__ import annotations

import errno
import os
import socket

import pytest
from huggingface_hub import constants

from endoseg_cli.errors import OutputError, WeightsError
from endoseg_cli.hub.download import fetch, state
from tests.hub.samples import BODY, ENTRY
from tests.hub.server import HubServer, Served


@pytest.mark.parametrize(
    ("status", "headers", "message", "hint"),
    [
        (401, {"X-Error-Code": "RepoNotFound"}, "no repository .*/org/name, or it is private", "HF_TOKEN"),
        (403, {"X-Error-Code": "GatedRepo"}, "is gated", "accept"),
        (404, {"X-Error-Code": "EntryNotFound"}, "no file model.safetensors at revision", "--file"),
        (404, {"X-Error-Code": "RevisionNotFound"}, f"no revision {ENTRY.revision}", "--revision"),
        (404, {"X-Error-Code": "RepoNotFound"}, "no repository", "HF_TOKEN"),
        (403, {}, "answered 403", "token"),
        (404, {}, "answered 404", "check"),
        (429, {"Retry-After": "17"}, "answered 429", "wait 17 seconds"),
        (429, {}, "answered 429", "wait some minutes"),
        (503, {}, "answered 503", "later"),
    ],
)
def test_each_refusal_has_its_words_and_is_asked_for_once(
    hub: HubServer, status: int, headers: dict[str, str], message: str, hint: str
) -> None:
    hub.serve(Served(body=BODY, status=status, headers=headers))
    with pytest.raises(WeightsError, match=message) as caught:
        fetch(ENTRY, endpoint=hub.url)
    assert caught.value.hint is not None and hint in caught.value.hint
    assert hub.methods() == ["HEAD"]
    assert state(ENTRY) == "remote"


def test_a_server_that_fails_after_the_first_answer(hub: HubServer) -> None:
    hub.serve(Served(body=BODY, get_status=503))
    with pytest.raises(WeightsError, match="answered 503"):
        fetch(ENTRY, endpoint=hub.url)


def test_a_busy_server_is_waited_for_as_long_as_it_asks(hub: HubServer) -> None:
    hub.serve(Served(body=BODY, get_status=429, get_refusals=1, headers={"Retry-After": "0"}))
    assert fetch(ENTRY, endpoint=hub.url).read_bytes() == BODY
    assert hub.methods().count("GET") == 2


def test_a_body_that_never_goes_on(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    hub.serve(Served(body=BODY, stalled_gets=99))
    with pytest.raises(WeightsError, match="did not answer in time"):
        fetch(ENTRY, endpoint=hub.url)
    assert state(ENTRY) == "remote"


def test_a_plain_file_server_is_named_as_such(hub: HubServer) -> None:
    hub.serve(Served(body=BODY, headers={"X-Repo-Commit": ""}))
    with pytest.raises(WeightsError, match="does not speak the Hub's protocol") as caught:
        fetch(ENTRY, endpoint=hub.url)
    assert caught.value.hint is not None and "--from-dir" in caught.value.hint


# huggingface_hub alone takes 23 seconds
@pytest.mark.timeout(15)
@pytest.mark.parametrize("network", ["nobody listens", "unknown name", "no answer"])
def test_without_a_network_the_words_come_soon(hub_cache: object, network: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if network == "nobody listens":
            silent.close()
        host = "hub.invalid" if network == "unknown name" else f"127.0.0.1:{port}"
        with pytest.raises(WeightsError, match=r"cannot be reached|did not answer in time") as caught:
            fetch(ENTRY, endpoint=f"http://{host}")
    assert caught.value.hint is not None and "--from-dir" in caught.value.hint


def test_a_full_disk_is_an_output_error(hub: HubServer) -> None:
    hub.serve(Served(body=BODY))

    def fill_disk(done: int, total: int | None) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OutputError, match="No space left on device") as caught:
        fetch(ENTRY, endpoint=hub.url, on_progress=fill_disk)
    assert caught.value.hint is not None and "HF_HOME" in caught.value.hint
    assert state(ENTRY) == "remote"


def test_an_endpoint_that_is_no_address(hub_cache: object) -> None:
    with pytest.raises(WeightsError, match="starts with https://"):
        fetch(ENTRY, endpoint="mirror.example")
