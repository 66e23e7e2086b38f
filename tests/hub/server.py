"""A real HTTP server on loopback that speaks the Hub's protocol, and misbehaves where a test asks it to."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(kw_only=True)
class Served:
    """A file of a repository, and how the server hands it out."""

    body: bytes = b""
    """The whole file."""
    status: int = 200
    """Status of every answer."""
    get_status: int = 200
    """Status of answers to GET alone."""
    get_refusals: int = 10**6
    """How many GETs get `get_status`, if it is not 200."""
    headers: dict[str, str] = field(default_factory=dict)
    """Further headers; an empty one is left out, even if the protocol asks for it."""
    lfs: bool = True
    """Whether the SHA-256 is stated, as for large files."""
    redirect: Literal["none", "relative", "other host"] = "none"
    """Where the file is moved to."""
    corrupt_gets: int = 0
    """How many GETs get a body of the right size with a wrong byte."""
    cut_gets: int = 0
    """How many GETs end after half of the body."""
    stalled_gets: int = 0
    """How many GETs get half of the body and then nothing."""


@dataclass(kw_only=True)
class HubServer:
    """The server's address, what it serves, and what it was asked."""

    url: str
    """Its address, without a slash at the end."""
    files: dict[str, Served] = field(default_factory=dict)
    """What is at each path."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and Range header of each request."""
    released: threading.Event = field(default_factory=threading.Event)
    """Ends stalled answers."""

    def serve(self, served: Served, repo: str = "org/name", file: str = "model.safetensors", at: str = COMMIT) -> None:
        """Serve a file of a repository at a revision."""
        self.files[f"/{repo}/resolve/{at}/{file}"] = served

    def methods(self) -> list[str]:
        """Return the methods of the requests so far."""
        return [method for method, _, _ in self.requests]


@contextmanager
def running_server() -> Iterator[HubServer]:
    """Run a server as long as the context lasts."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    hub = HubServer(url=f"http://127.0.0.1:{httpd.server_port}")
    httpd.RequestHandlerClass = _handler(hub)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            hub.requests.append((self.command, self.path, self.headers.get("Range")))
            moved = self.path.startswith("/moved")
            served = hub.files.get(self.path.removeprefix("/moved"))
            if served is None:
                return self._refuse(404, {"X-Error-Code": "EntryNotFound"})
            status = served.status
            if self.command == "GET" and served.get_status != 200 and served.get_refusals > 0:
                served.get_refusals -= 1
                status = served.get_status
            if status != 200:
                return self._refuse(status, served.headers)
            if served.redirect != "none" and not moved:
                return self._redirect(served)
            self._send(served)

        def _facts(self, served: Served, linked: bool) -> dict[str, str]:
            sha256 = hashlib.sha256(served.body).hexdigest()
            etag = {"ETag": '"' + (sha256 if served.lfs else "a" * 40) + '"'}
            links = {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(served.body))} if linked else {}
            facts = {"X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes", **etag, **links, **served.headers}
            return {name: value for name, value in facts.items() if value}

        def _redirect(self, served: Served) -> None:
            # "localhost" is another host than 127.0.0.1, as a CDN is another one than the Hub
            host = "" if served.redirect == "relative" else hub.url.replace("127.0.0.1", "localhost")
            facts = self._facts(served, linked=served.redirect == "other host")
            self._refuse(302, {**facts, "Location": f"{host}/moved{self.path}"})

        def _refuse(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def _send(self, served: Served) -> None:
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
            body = served.body[start:]
            self.send_response(206 if "Range" in self.headers else 200)
            for name, value in self._facts(served, linked=False).items():
                self.send_header(name, value)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(served.body) - 1}/{len(served.body)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self._send_body(served, body)

        def _send_body(self, served: Served, body: bytes) -> None:
            if served.corrupt_gets > 0:
                served.corrupt_gets -= 1
                body = body[:-1] + bytes([body[-1] ^ 1])
            cut, stalled = served.cut_gets > 0, served.stalled_gets > 0
            served.cut_gets -= cut
            served.stalled_gets -= stalled
            # a client may leave in the middle
            with suppress(ConnectionError):
                self.wfile.write(body[: len(body) // 2] if cut or stalled else body)
                self.wfile.flush()
            if stalled:
                hub.released.wait(30)
            if cut or stalled:
                self.close_connection = True

    return Handler
