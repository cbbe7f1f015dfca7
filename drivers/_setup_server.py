"""The page of `jidoka camera setup`, on loopback: live picture, figures, scale.

::

    GET  /                     the page, self-contained
    GET  /frame.jpg?after=N    the first picture after turn N, at most VIEW_WIDTH_PX wide; its figures ride in X-View
    POST /region  {"xyxy": [..]|null}                          measure only there
    POST /points  {"a": [x, y], "b": [x, y], "length_mm": n}   scale from two points, in frame px
    POST /board   {"columns": n, "rows": n, "square_mm": n}    scale from a chessboard
    POST /done                                                 the command ends and prints its lines

Only for a Host header that names loopback, and POST only with JSON: no page from elsewhere can reach it. One write an
answer and no Nagle: header and body apart cost 45 ms each time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cv2
import msgspec
import numpy as np

from drivers._figures import Scale, advice, scale_of_board, scale_of_points
from drivers._live_view import LiveView, View
from edge.errors import LinkError
from edge.vision.imageio import encode_jpeg

HOST = "127.0.0.1"
LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
PAGE = Path(__file__).with_name("setup.html")
VIEW_WIDTH_PX = 1600
VIEW_QUALITY = 85
WAIT_S = 2.0
PATIENCE_S = 5.0
MAX_BODY_BYTES = 4096
POLICY = "default-src 'none'; img-src 'self' blob: data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


class RegionAsked(msgspec.Struct):
    """Where to measure, in frame px; None is everywhere."""

    xyxy: tuple[int, int, int, int] | None = None


class PointsAsked(msgspec.Struct):
    """Two points in frame px and their true distance."""

    a: tuple[float, float]
    b: tuple[float, float]
    length_mm: float


class BoardAsked(msgspec.Struct):
    """A chessboard by its inner corners."""

    columns: int
    rows: int
    square_mm: float


class SetupServer:
    """Serves one live view. ``toml`` makes the lines to paste from the scale found so far. Port 0 takes a free one."""

    def __init__(
        self, live: LiveView, title: str, toml: Callable[[Scale | None], str], *, port: int = 0, length_mm: float = 0.0
    ) -> None:
        try:
            self._http = _Http((HOST, port), _Handler)
        except OSError as error:
            raise LinkError(
                "PORT_TAKEN", f"port {port} cannot be had", str(error), "choose another with --port"
            ) from error
        self._http.setup = self
        self.live = live
        self.title = title
        self.toml = toml
        self.length_mm = length_mm
        self.scale: Scale | None = None
        self.done = threading.Event()
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), name="camera-setup")

    @property
    def url(self) -> str:
        """Where to point a browser."""
        return f"http://{HOST}:{self._http.server_address[1]}/"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop and join. Needs start before."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def post(self, path: str, body: bytes) -> dict[str, Any]:
        """Carry out one request of the page. Raises ValueError (also for a body of the wrong shape) and KeyError."""
        match path:
            case "/region":
                self.live.look_at(msgspec.json.decode(body, type=RegionAsked).xyxy)
            case "/points":
                points = msgspec.json.decode(body, type=PointsAsked)
                self.scale = scale_of_points(points.a, points.b, points.length_mm)
            case "/board":
                self.scale = self._board(msgspec.json.decode(body, type=BoardAsked))
            case "/done":
                self.done.set()
            case _:
                raise KeyError(path)
        return {"scale": self.scale, "toml": self.toml(self.scale)}

    def _board(self, asked: BoardAsked) -> Scale:
        frame = self.live.view().frame
        if frame is None:
            raise ValueError("there is no picture yet")
        scale = scale_of_board(frame.image, asked.columns, asked.rows, asked.square_mm)
        if scale is None:
            raise ValueError(
                f"no chessboard with {asked.columns} x {asked.rows} inner corners in the picture; "
                "count corners, not squares, and show all of the board"
            )
        return scale


class _Http(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close joins them
    setup: SetupServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away in the middle is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    timeout = PATIENCE_S
    server_version = "jidoka"
    sys_version = ""
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self._is_foreign():
            return
        url = urlsplit(self.path)
        if url.path == "/":
            setup = self.server.setup
            state = {"title": setup.title, "length_mm": setup.length_mm, "toml": setup.toml(setup.scale)}
            text = PAGE.read_text(encoding="utf-8").replace("/*STATE*/null", _for_script(state))
            self._answer(HTTPStatus.OK, text.encode(), "text/html; charset=utf-8")
        elif url.path == "/frame.jpg":
            after = parse_qs(url.query).get("after", ["0"])[0]
            self._frame(int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0)  # noqa: PLR2004
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"there is no such page\n", "text/plain")

    def do_POST(self) -> None:
        if self._is_foreign():
            return
        length = self.headers.get("Content-Length", "")
        if (
            self.headers.get("Content-Type") != "application/json"
            or not length.isdigit()
            or int(length) > MAX_BODY_BYTES
        ):
            self._answer(HTTPStatus.BAD_REQUEST, b"a small JSON body is expected\n", "text/plain")
            return
        try:
            answer = self.server.setup.post(urlsplit(self.path).path, self.rfile.read(int(length)))
        except KeyError:
            self._answer(HTTPStatus.NOT_FOUND, b"there is no such page\n", "text/plain")
        except ValueError as bad:  # msgspec's errors are these too
            self._answer(HTTPStatus.UNPROCESSABLE_ENTITY, msgspec.json.encode({"error": str(bad)}), "application/json")
        else:
            self._answer(HTTPStatus.OK, msgspec.json.encode(answer), "application/json")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Requests are no news."""

    def _is_foreign(self) -> bool:
        if self.headers.get("Host", "").rsplit(":", 1)[0] in LOCAL_NAMES:
            return False
        self._answer(HTTPStatus.FORBIDDEN, b"this page is for this machine only\n", "text/plain")
        return True

    def _frame(self, after: int) -> None:
        view = self.server.setup.live.newer(after, WAIT_S)
        body, shown_scale = (b"", 1.0) if view.frame is None else _shown(view)
        self._answer(HTTPStatus.OK, body, "image/jpeg", {"X-View": json.dumps(_figures_json(view, shown_scale))})

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
            **(more or {}),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.close_connection = True
        self.wfile.write(f"HTTP/1.1 {status.value} {status.phrase}\r\n{lines}\r\n".encode() + body)


def _shown(view: View) -> tuple[bytes, float]:
    """JPEG for the page, and frame px per px of it."""
    assert view.frame is not None
    image = view.frame.image
    factor = image.shape[1] / VIEW_WIDTH_PX
    if factor > 1:
        size = (VIEW_WIDTH_PX, max(1, round(image.shape[0] / factor)))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return encode_jpeg(small, VIEW_QUALITY), factor
    return encode_jpeg(image, VIEW_QUALITY), 1.0


def _figures_json(view: View, shown_scale: float) -> dict[str, Any]:
    figures = view.figures
    known = {} if figures is None else msgspec.to_builtins(figures) | {"advice": advice(figures)}
    size = [0, 0] if view.frame is None else [view.frame.image.shape[1], view.frame.image.shape[0]]
    return known | {
        "turn": view.turn,
        "frame_no": None if view.frame is None else view.frame.ref.frame_no,
        "focus_best": view.focus_best,
        "rate_hz": view.rate_hz,
        "error": view.error,
        "size_px": size,
        "shown_scale": shown_scale,
    }


def _for_script(state: dict[str, Any]) -> str:
    """JSON that cannot end a script element."""
    return json.dumps(state).replace("<", "\\u003c")
