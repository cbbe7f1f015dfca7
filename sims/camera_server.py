"""The simulated camera on the wire: HTTP on loopback, rendering the world as it is at the moment of the exposure.

``GET /snapshot.jpg`` takes a picture now; ``GET /stream.mjpg`` sends pictures at ``stream_fps``. Every picture bears
``X-Frame-No`` (the camera's own count, from 1) and ``X-Captured-Ns`` (monotonic ns of this machine, when the light was
taken). Header and body leave in one write, without Nagle's delay: otherwise each answer costs 40 ms.

What a plant does to a camera: ``frozen`` (the same picture and number again and again), ``hang`` (no answer), ``gone``
(refused), ``slow`` (answers late), ``dark`` (hardly any light).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from edge.errors import LinkError
from sims.camera import Camera, Picture

CameraHealth = Literal["ok", "frozen", "hang", "gone", "slow", "dark"]

BOUNDARY = "frame"
_SOCKET_TIMEOUT_S = 30.0


class CameraServer:
    """Serves one camera. ``port`` 0 takes a free one, kept over ``gone`` and back."""

    def __init__(self, camera: Camera, host: str = "127.0.0.1", port: int = 0) -> None:
        self.camera = camera
        self.host = host
        self.port = port
        self._health: CameraHealth = "ok"
        self._changed = threading.Condition()
        self._http: _Http | None = None
        self._serving: threading.Thread | None = None
        self._arrived = threading.Condition()
        self._next = -1
        self._drawn = 2
        self._stopped = False
        self._ahead = threading.Thread(target=self._draw_ahead, name="sim-camera-ahead")

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Listen. Raises LinkError PORT_TAKEN."""
        self.camera.prepare(range(2))
        self.camera.warm()
        self._ahead.start()
        self._open()

    def stop(self) -> None:
        """Close everything. May be called twice."""
        with self._arrived:
            self._stopped = True
            self._arrived.notify_all()
        self.set_health("gone")
        if self._ahead.ident is not None:
            self._ahead.join()

    def set_health(self, health: CameraHealth) -> None:
        """Break it or mend it."""
        with self._changed:
            was, self._health = self._health, health
            self._changed.notify_all()
        if health == "gone" and was != "gone":
            self._close()
        elif health != "gone" and was == "gone":
            self._open()

    def part_arrived(self, index: int) -> None:
        """A part is at the eye: draw the ones behind it soon. Returns at once."""
        with self._arrived:
            self._next = index + 1
            self._arrived.notify_all()

    def answer(self) -> Picture | None:
        """The picture to send now; None when there is none to be had any more."""
        with self._changed:
            if self._health == "slow":
                self._changed.wait_for(lambda: self._health != "slow", self.camera.spec.slow_s)
            if self._health == "hang":
                self._changed.wait_for(lambda: self._health != "hang")
            health = self._health
        if health == "gone":
            return None
        if health == "frozen" and self.camera.last is not None:
            return self.camera.last
        return self.camera.snapshot(dark=health == "dark")

    def pause(self, seconds: float) -> bool:
        """Wait between two pictures of a stream; False when the stream is to end."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._health == "gone", seconds)

    def _open(self) -> None:
        try:
            self._http = _Http((self.host, self.port), self)
        except OSError as error:
            what = f"the simulated camera cannot listen on {self.host}:{self.port}"
            raise LinkError("PORT_TAKEN", what, str(error)) from error
        self.port = self._http.server_address[1]
        self._serving = threading.Thread(target=self._http.serve_forever, args=(0.02,), name="sim-camera")
        self._serving.start()

    def _close(self) -> None:
        if self._http is None or self._serving is None:
            return
        self._http.shutdown()
        self._http.drop_connections()
        self._http.server_close()
        self._serving.join()
        self._http = None

    def _draw_ahead(self) -> None:
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: self._stopped or self._next + 1 >= self._drawn)
                if self._arrived.wait_for(lambda: self._stopped, self.camera.spec.prepare_after_s):
                    return
                coming, upto = self._next, self._next + 2
            self.camera.prepare(range(self._drawn, upto), coming)
            self._drawn = max(self._drawn, upto)


class _Http(ThreadingHTTPServer):
    daemon_threads = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], owner: CameraServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; it may come back."""

    def drop_connections(self) -> None:
        with self._guard:
            for request in self._open:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _SOCKET_TIMEOUT_S
    server: _Http

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/snapshot.jpg":
            picture = self.server.owner.answer()
            if picture is None:
                self.close_connection = True
                return
            self._send(_head("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n", picture) + picture.jpeg)
        elif path == "/stream.mjpg":
            self._stream()
        else:
            self._send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Quiet: the run's own report says what happened."""

    def _stream(self) -> None:
        self.close_connection = True
        owner = self.server.owner
        self._send(
            f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: multipart/x-mixed-replace; boundary={BOUNDARY}\r\n\r\n".encode()
        )
        while True:
            picture = owner.answer()
            if picture is None:
                return
            self._send(_head(f"--{BOUNDARY}\r\n", picture) + picture.jpeg + b"\r\n")
            if not owner.pause(1.0 / owner.camera.spec.stream_fps):
                return

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)


def _head(first: str, picture: Picture) -> bytes:
    return (
        f"{first}Content-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n"
        f"X-Frame-No: {picture.frame_no}\r\nX-Captured-Ns: {picture.captured_ns}\r\n\r\n"
    ).encode()
