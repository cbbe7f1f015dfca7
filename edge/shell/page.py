"""The agent's own read-only page on loopback: what it sees, what it decided, and why it is not ready.

::

    GET /                     page.html, self-contained; it fetches the rest by itself
    GET /status.json          snapshot() and the list of the last pictures, newest first
    GET /pictures/<n>.jpg     one of them
    GET /healthz              200 "ok" when ready, else 503 and the reasons, one a line

Works with no coordinator and no internet anywhere. Only GET and HEAD, only loopback, and only for a Host header that
names loopback: a page from elsewhere cannot read it through a name of its own that points here (DNS rebinding).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec

from edge.errors import LinkError
from edge.shell.evidence import Picture

HOST = "127.0.0.1"
LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
PATIENCE_S = 2.0
"""For a client that says nothing; also the longest that ``close`` may have to wait for one."""
JPEG = re.compile(r"/pictures/(\d{1,12})\.jpg")
HTML = Path(__file__).with_name("page.html")
POLICY = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"

_encode = msgspec.json.Encoder(enc_hook=str).encode


class Page:
    """``snapshot`` gives the status document, ``pictures`` the last pictures, newest first. Port 0 takes a free one.

    Raises LinkError PORT_TAKEN when the port cannot be had.
    """

    def __init__(
        self,
        snapshot: Callable[[], dict[str, Any]],
        pictures: Callable[[], Sequence[Picture]],
        *,
        port: int = 0,
    ) -> None:
        try:
            self._server = _Server((HOST, port), _Handler)
        except OSError as error:
            raise LinkError(
                "PORT_TAKEN", f"the status page cannot have port {port}", str(error), "set [page] port = 0"
            ) from error
        self._server.snapshot = snapshot
        self._server.pictures = pictures
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="page", daemon=True)
        self._started = False

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/"

    def start(self) -> None:
        self._started = True
        self._thread.start()

    def close(self) -> None:
        """Stop serving and wait for requests under way. May be called twice, and without start."""
        if self._started:
            self._started = False
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close joins them
    disable_nagle_algorithm = True
    snapshot: Callable[[], dict[str, Any]]
    pictures: Callable[[], Sequence[Picture]]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is nobody's fault and no news."""


class _Handler(BaseHTTPRequestHandler):
    """One request a connection, answered with one write: header and body apart cost 45 ms each time (delayed ACK)."""

    server: _Server
    timeout = PATIENCE_S
    server_version = "jidoka"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        if self.headers.get("Host", "").rsplit(":", 1)[0] not in LOCAL_NAMES:
            self._answer(HTTPStatus.FORBIDDEN, b"this page is for this machine only\n", "text/plain")
            return
        path = self.path.partition("?")[0]
        if path == "/":
            self._answer(HTTPStatus.OK, HTML.read_bytes(), "text/html; charset=utf-8")
        elif path == "/status.json":
            self._answer(HTTPStatus.OK, _encode(self._status()), "application/json")
        elif path == "/healthz":
            self._health()
        elif match := JPEG.fullmatch(path):
            self._picture(int(match[1]))
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"there is no such page\n", "text/plain")

    do_HEAD = do_GET  # noqa: N815 - the base class names it so

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Requests are no changes, so they are not logged."""

    def _status(self) -> dict[str, Any]:
        pictures = [
            {
                "n": picture.n,
                "source": picture.record.source,
                "frame_no": picture.record.frame_no,
                "part_id": picture.record.part_id,
                "part_no": picture.record.part_no,
                "decision": picture.record.decision,
                "why": picture.record.why,
                "utc_ms": picture.record.utc_ms,
            }
            for picture in self.server.pictures()
        ]
        return self.server.snapshot() | {"pictures": pictures}

    def _health(self) -> None:
        status = self.server.snapshot()
        if status.get("ready"):
            self._answer(HTTPStatus.OK, b"ok\n", "text/plain")
            return
        why = "\n".join(str(reason) for reason in status.get("why_not", ())) or "not ready"
        self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}\n".encode(), "text/plain; charset=utf-8")

    def _picture(self, n: int) -> None:
        found = next((picture for picture in self.server.pictures() if picture.n == n), None)
        if found is None:
            self._answer(HTTPStatus.NOT_FOUND, b"this picture is no longer held\n", "text/plain")
        else:
            self._answer(HTTPStatus.OK, found.record.jpeg, "image/jpeg", keep=True)

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, *, keep: bool = False) -> None:
        head = (
            f"HTTP/1.0 {status.value} {status.phrase}\r\n"
            f"Content-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"Cache-Control: {'private, max-age=600' if keep else 'no-store'}\r\n"
            f"Content-Security-Policy: {POLICY}\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "X-Frame-Options: DENY\r\n"
            "Connection: close\r\n\r\n"
        )
        self.close_connection = True
        self.wfile.write(head.encode() + (b"" if self.command == "HEAD" else body))
