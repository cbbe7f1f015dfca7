"""A real HTTP camera in a thread: snapshots and motion JPEG, easy to bend from a test."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import cv2
import numpy as np


def picture(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A BGR picture whose mean brightness tells its number (0..50)."""
    return np.full((height, width, 3), 5 * number % 256, np.uint8)


def jpeg(number: int) -> bytes:
    return cv2.imencode(".jpg", picture(number))[1].tobytes()


def number_of(image: np.ndarray) -> int:
    return round(float(image.mean()) / 5)


class HttpPeer(ThreadingHTTPServer):
    """``/snapshot`` gives one frame a request; ``/stream`` gives ``parts`` (bytes, sent as they are, each once).

    ``status``, ``body``, ``headers`` bend the snapshot; ``numbered = False`` leaves X-Frame-No away. After its parts a
    stream stays silent while ``stay`` is set, else it ends; ``endless`` sends 100 frames/s instead.
    """

    daemon_threads = False
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.port = self.server_address[1]
        self.status = 200
        self.body: bytes | None = None
        self.headers: dict[str, str] = {}
        self.numbered = True
        self.hang_up_after_each = False
        self.parts: list[bytes] = []
        self.content_type = "multipart/x-mixed-replace; boundary=frame"
        self.endless = False
        self.stay = True
        self.frame_no = 0
        self.sockets: list[socket.socket] = []
        self.silent = False
        self.all_sent = threading.Event()
        self.leaving = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, name="http-peer")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def connections(self) -> int:
        return len(self.sockets)

    def stop(self) -> None:
        self.leaving.set()
        self.shutdown()
        for connection in self.sockets:
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self.server_close()  # joins the connections' threads
        assert not self._thread.is_alive()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpPeer

    def setup(self) -> None:
        self.server.sockets.append(self.request)
        super().setup()

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.server.silent:
            self.server.leaving.wait(30)
            self.close_connection = True
        elif self.path == "/stream":
            self._stream()
        elif self.path == "/snapshot":
            self._snapshot()
        else:
            self.send_error(404)

    def _snapshot(self) -> None:
        peer = self.server
        peer.frame_no += 1
        body = jpeg(peer.frame_no % 50) if peer.body is None else peer.body
        own = {"X-Frame-No": str(peer.frame_no)} if peer.numbered else {}
        headers = {"Content-Length": str(len(body)), **own, **peer.headers}
        head = f"HTTP/1.1 {peer.status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
        self.wfile.write(head.encode() + body)
        self.close_connection = peer.hang_up_after_each

    def _stream(self) -> None:
        with suppress(ConnectionError):  # the reader may leave at any time
            self._send_stream()
        self.close_connection = True

    def _send_stream(self) -> None:
        peer = self.server
        self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Type: {peer.content_type}\r\n\r\n".encode())
        for piece in peer.parts:
            self.wfile.write(piece)
        while peer.endless and not peer.leaving.wait(0.01):
            peer.frame_no += 1
            self.wfile.write(part(peer.frame_no))
        peer.all_sent.set()
        if peer.stay:
            peer.leaving.wait(30)


def part(number: int, *, length: bool = True, numbered: bool = True) -> bytes:
    """One part of a stream as cameras send it."""
    body = jpeg(number % 50)
    head = b"--frame\r\nContent-Type: image/jpeg\r\n"
    head += f"Content-Length: {len(body)}\r\n".encode() if length else b""
    head += f"X-Frame-No: {number}\r\n".encode() if numbered else b""
    return head + b"\r\n" + body + b"\r\n"
