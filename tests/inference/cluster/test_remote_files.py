from __future__ import annotations

import base64
import hashlib
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from endoseg_cli.errors import EndosegError, InputError, MissingInputError, OutputError, UsageError
from endoseg_cli.inference.cluster import remote_files
from endoseg_cli.inference.cluster.remote_files import deliver, fetch, find_remote, read_small, size_of, sizes_below
from endoseg_cli.inference.inputs.addresses import called, is_address, plain_input, plain_output, without_secrets
from tests.inference.cluster.fake_store import FakeS3


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_files, "WAIT_SECONDS", 0.0)


def test_paths_and_addresses_are_told_apart_and_called_as_people_write_them() -> None:
    for text in ("s3://b/a.mp4", "gs://b/f", "https://host/a.mp4", "http://host:8000/a"):
        assert is_address(text) and is_address(Path(text)) and called(Path(text)) == text
    for text in ("a.mp4", "/data/s3/a.mp4", "C:/videos/a.mp4", "s3:", "odd s3://b/a.mp4"):
        assert not is_address(text)
    assert called("cannot write s3:/b/a.mp4, nor gs:/c") == "cannot write s3://b/a.mp4, nor gs://c"


def test_file_addresses_are_paths_and_other_kinds_are_refused() -> None:
    assert plain_input("file:///data/a.mp4") == "/data/a.mp4" and plain_input("videos/*.mp4") == "videos/*.mp4"
    assert plain_output(Path("file:///data/out")) == Path("/data/out")
    assert plain_output(Path("s3://b/out")) == Path("s3://b/out") and plain_output(Path("C:/out")) == Path("C:/out")
    for text in ("ftp://host/a.mp4", "file://elsewhere/a.mp4", "reference://x"):
        with pytest.raises(UsageError, match="of an unknown kind"):
            plain_input(text)
    for text in ("https://me:secret@host/out?sig=1", "sftp://host/out"):
        with pytest.raises(UsageError, match=r"nothing can be written to \w+://host/out\n"):
            plain_output(Path(text))


def test_secrets_of_an_address_are_never_shown() -> None:
    text = "GET https://me:secret@host/a%20b.mp4?X-Amz-Signature=abc&e=1 failed ('https://host/c?token=d')"
    assert without_secrets(text) == "GET https://host/a%20b.mp4 failed ('https://host/c')"


def test_a_folder_a_pattern_and_a_file_of_a_store(s3: FakeS3) -> None:
    folder = find_remote("s3://bucket/v")
    assert [(file.url, file.place, file.size) for file in folder] == [
        ("s3://bucket/v/a.mp4", Path("a"), 7),
        ("s3://bucket/v/b/a.mp4", Path("b/a"), 9),
    ]
    assert [file.url for file in find_remote("s3://bucket/v/*.mp4")] == ["s3://bucket/v/a.mp4"]
    s3.pipe_file("/bucket/v/take #1?.mp4", b"")
    assert [file.path for file in find_remote("s3://bucket/v/take*")] == [Path("s3://bucket/v/take #1?.mp4")]
    assert [(file.path, file.place) for file in find_remote("s3://bucket/v/b/a.mp4")] == [
        (Path("s3://bucket/v/b/a.mp4"), Path("a"))
    ]


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("s3://bucket/absent.mp4", MissingInputError, r"no such file or folder: s3://bucket/absent\.mp4"),
        ("s3://bucket/v/*.avi", MissingInputError, r"no videos at s3://bucket/v/\*\.avi"),
        ("s3://bucket/p/x.png", UsageError, r"pictures are not read from addresses, found 1: s3://bucket/p/x\.png"),
        ("s3://bucket/odd", MissingInputError, "no videos at s3://bucket/odd"),  # names that lead out are left out
        ("s3://bucket/p", UsageError, r"pictures are not read from addresses, found 1: s3://bucket/p"),
    ],
)
def test_an_address_that_holds_nothing_to_segment(s3: FakeS3, url: str, kind: type[EndosegError], words: str) -> None:
    if "odd" in url:
        s3.store["/bucket/odd/../../x.mp4"] = s3.store["/bucket/v/a.mp4"]
    with pytest.raises(kind, match=words):
        find_remote(url)


def test_what_comes_cut_is_asked_for_again_and_refused_in_the_end(s3: FakeS3, tmp_path: Path) -> None:
    s3.cut["/bucket/v/a.mp4"] = 2
    fetch("s3://bucket/v/a.mp4", tmp_path / "a.mp4", 7)
    assert (tmp_path / "a.mp4").read_bytes() == b"v/a.mp4"
    s3.cut["/bucket/v/a.mp4"] = 3
    with pytest.raises(InputError, match=r"s3://bucket/v/a\.mp4 came with 6 bytes, expected 7"):
        fetch("s3://bucket/v/a.mp4", tmp_path / "a.mp4", 7)


def test_what_may_not_be_read_or_written_is_one_line(s3: FakeS3, tmp_path: Path) -> None:
    s3.refused.update({"/bucket/v/a.mp4", "/bucket/out/m.mp4"})
    with pytest.raises(InputError, match=r"^s3://bucket/v/a\.mp4 may not be read: access is refused\n\nhint: every"):
        fetch("s3://bucket/v/a.mp4", tmp_path / "a.mp4", 7)
    (tmp_path / "m.mp4").write_bytes(b"mask")
    with pytest.raises(OutputError, match=r"^s3://bucket/out/m\.mp4 may not be written: access is refused"):
        deliver(tmp_path / "m.mp4", Path("s3://bucket/out/m.mp4"))


def test_outputs_arrive_whole_in_a_store_and_in_a_folder(s3: FakeS3, tmp_path: Path) -> None:
    (tmp_path / "m.mp4").write_bytes(b"mask")
    for root in (Path("s3://bucket/out"), tmp_path / "out"):
        assert size_of(root / "m.mp4") is None and read_small(root / "m.mp4") is None and sizes_below(root) == {}
        deliver(tmp_path / "m.mp4", root / "m.mp4")
        assert size_of(root / "m.mp4") == 4 and read_small(root / "m.mp4") == b"mask"
        assert sizes_below(root) == {"m.mp4": 4} and size_of(root) is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m.mp4"]


@pytest.mark.parametrize("stated", [{"size": 3}, {"md5Hash": base64.b64encode(hashlib.md5(b"ask").digest()).decode()}])
def test_an_output_that_did_not_arrive_whole_is_an_error(
    s3: FakeS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: dict[str, object]
) -> None:
    info = FakeS3.info
    monkeypatch.setattr(FakeS3, "info", lambda self, path, **options: info(self, path, **options) | stated)
    (tmp_path / "m.mp4").write_bytes(b"mask")
    with pytest.raises(OutputError, match=r"s3://bucket/m\.mp4 did not arrive whole"):
        deliver(tmp_path / "m.mp4", Path("s3://bucket/m.mp4"))


def test_a_full_disk_leaves_nothing_under_the_final_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", fill)
    (tmp_path / "m.mp4").write_bytes(b"mask")
    with pytest.raises(OutputError, match=r"cannot write .*out/m\.mp4: No space left on device"):
        deliver(tmp_path / "m.mp4", tmp_path / "out/m.mp4")
    assert not list((tmp_path / "out").iterdir())


def test_without_fsspec_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UsageError, match=r'(?s)need the package fsspec.*pip install "endoseg-cli\[ray\]"'):
        find_remote("s3://bucket/a.mp4")


def test_a_store_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec", reason="addresses need fsspec")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(InputError, match=r"(?s)gs:// needs a package that is not installed.*pip install gcsfs"):
        find_remote("gs://bucket/a.mp4")


class Web(BaseHTTPRequestHandler):
    """Serves /a.mp4 to those who know the signature."""

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"v" * 1000)

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        status = 404 if path != "/a.mp4" else 200 if query == "sig=good" else 403
        self.send_response(status)
        self.send_header("Content-Length", "1000" if status == 200 else "0")
        self.end_headers()
        self.wfile.write(body if status == 200 else b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="http:// needs aiohttp")
    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_signed_web_address(web: str, tmp_path: Path) -> None:
    [found] = find_remote(f"{web}/a.mp4?sig=good")
    assert (found.size, found.place, found.path) == (1000, Path("a"), Path(f"{web}/a.mp4"))
    fetch(found.url, tmp_path / "a.mp4", found.size)
    assert (tmp_path / "a.mp4").read_bytes() == b"v" * 1000


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("b.mp4?sig=good", r"no such file or folder: {}/b\.mp4$"),
        ("a.mp4?sig=bad", r"{}/a\.mp4 may not be read: .* 403$"),
    ],
)
def test_what_a_web_server_refuses(web: str, file: str, words: str, tmp_path: Path) -> None:
    for ask in (lambda url: find_remote(url), lambda url: fetch(url, tmp_path / "a.mp4", None)):
        with pytest.raises(EndosegError) as caught:
            ask(f"{web}/{file}")
        assert "sig=" not in str(caught.value)
        assert re.match(words.format(web), caught.value.message)
