"""Cameras over HTTP: one picture a request (software trigger), or a motion JPEG stream.

Device family: IP cameras with a snapshot url or an MJPEG url (Axis VAPIX, Hikvision ISAPI, Basler and IDS smart cameras,
ESP32-CAM, `mjpg-streamer`, and this project's simulated camera).
Protocol: HTTP/1.1 (RFC 9110, 9112), keep-alive; for streams ``multipart/x-mixed-replace`` (RFC 2046, 5.1). No TLS and no
login yet. Pictures: whatever `edge.vision.imageio` decodes, mostly JPEG, within ``max_frame_bytes`` and its pixel limit.

Headers of an answer or part, both optional::

    X-Frame-No: 1234             the camera's own count. The same number twice is an old picture: SOURCE_FROZEN.
                                 A smaller one: the camera was restarted; frame_no goes on rising.
    X-Captured-Ns: 98765432100   only with `shared_clock = true`: stamped with this machine's monotonic clock

Otherwise frames are counted, and `captured_ns` is our monotonic clock: of a snapshot the moment the request was sent (the
exposure is after it, so the picture is never older), of a stream the arrival of the part's header. A stream that is read
too slowly waits in the network's buffers and is older than it looks: read on, or set `newest = true`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from drivers._http import HttpLine
from drivers._image import decode_frame
from drivers._multipart import MultipartParser, Part, boundary_of
from edge.domain import FrameRef
from edge.errors import ConfigError, DeviceError
from edge.ports import Frame

DEFAULT_PORT = 80
MAX_NUMBER = 2**53
"""Larger numbers do not survive JSON's readers; no camera counts that far."""
MAX_DIGITS = 18
OLDEST_STAMP_NS = 60_000_000_000
"""A shared clock that says a frame is older than a minute is not shared."""


class HttpOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the camera is. ``newest`` (streams only): skip to the last frame that has arrived whole.

    ``timeout_s`` is for connecting; reads have their own.
    """

    url: Annotated[str, Meta(pattern=r"^http://[^/?#\s]+", description="http://host[:port]/path")]
    mode: Literal["snapshot", "mjpeg"] = "snapshot"
    newest: bool = False
    shared_clock: bool = False
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 2.0
    max_frame_bytes: Annotated[int, Meta(ge=1024, le=256_000_000)] = 16_000_000


class FrameCounter:
    """Numbers that rise: the camera's where it sends one, else our own."""

    def __init__(self) -> None:
        self._base = 0
        self._last_theirs: int | None = None
        self._last = -1

    def next(self, theirs: int | None) -> int:
        """The number of the next frame. Raises DeviceError SOURCE_FROZEN when the camera repeats itself."""
        if theirs is None:
            self._last += 1
            return self._last
        if theirs == self._last_theirs:
            raise DeviceError(
                "SOURCE_FROZEN", f"the camera sent frame {theirs} again", hint="its picture is old; restart the camera"
            )
        if self._base + theirs <= self._last:  # it was restarted, or its counter has wrapped
            self._base = self._last + 1 - theirs
        self._last_theirs = theirs
        self._last = self._base + theirs
        return self._last


def number_in(headers: Mapping[str, str], name: str) -> int | None:
    """A header of decimal digits (below 2**53), or None when absent. Raises ValueError on anything else."""
    text = headers.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > MAX_DIGITS or int(text) >= MAX_NUMBER:
        raise ValueError(f"header {name} is {text[:40]!r}")
    return int(text)


class HttpCamera:
    """A camera as `edge.ports.FrameSource`. One thread owns it. No retry inside: after an error close and open."""

    Options: ClassVar[type[HttpOptions]] = HttpOptions

    def __init__(self, name: str, options: HttpOptions) -> None:
        self._name = name
        self._o = options
        self.on_demand = options.mode == "snapshot"
        host, port, path = _split(options.url)
        self._line = HttpLine(host, port, path)
        self._parser: MultipartParser | None = None
        self._counter = FrameCounter()  # kept over a reconnect, so that numbers never fall

    def open(self) -> None:
        """Connect, and begin the stream; a snapshot camera exposes nothing yet. Idempotent.

        Raises DeviceError SOURCE_ABSENT, SOURCE_TIMEOUT, SOURCE_REFUSED, FRAME_MALFORMED (not a stream).
        """
        if self._line.is_open:
            return
        until_ns = time.monotonic_ns() + int(self._o.timeout_s * 1e9)
        self._line.open(self._o.timeout_s)
        self._parser = None if self.on_demand else self._begin_stream(until_ns)

    def read(self, timeout_s: float) -> Frame:
        """One frame: snapshot, exposed after the call; mjpeg, the next (or newest) one of the stream.

        Raises DeviceError SOURCE_TIMEOUT, SOURCE_LOST, SOURCE_FROZEN, SOURCE_REFUSED, SOURCE_ABSENT, FRAME_MALFORMED,
        SOURCE_NOT_OPEN. After SOURCE_TIMEOUT it may be called again.
        """
        until_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        if self.on_demand:
            headers, at_ns = self._line.begin(until_ns)
            body = self._line.body(self._o.max_frame_bytes, until_ns)
        else:
            part = self._next_part(until_ns)
            headers, body, at_ns = part.headers, part.body, part.header_at_ns
        try:
            frame_no, stamp_ns = number_in(headers, "x-frame-no"), number_in(headers, "x-captured-ns")
            captured_ns = self._captured_ns(at_ns, stamp_ns)
        except ValueError as bad:
            raise self._line.malformed(str(bad)) from bad
        ref = FrameRef(self._name, self._counter.next(frame_no), captured_ns)
        return Frame(ref, decode_frame(body, self._o.url))

    def close(self) -> None:
        """Never raises."""
        self._parser = None
        self._line.close()

    def _captured_ns(self, at_ns: int, stamp_ns: int | None) -> int:
        if stamp_ns is None or not self._o.shared_clock:
            return at_ns
        now_ns = time.monotonic_ns()
        if not now_ns - OLDEST_STAMP_NS <= stamp_ns <= now_ns:
            raise ValueError("X-Captured-Ns is not on this machine's clock; set shared_clock = false")
        return stamp_ns

    def _next_part(self, until_ns: int) -> Part:
        parser = self._parser
        if parser is None or not self._line.is_open:
            raise DeviceError("SOURCE_NOT_OPEN", f"{self._o.url} is not connected", hint="open it first")
        try:
            part = parser.next_part()
            while part is None:
                self._feed(parser, until_ns)
                part = parser.next_part()
            while self._o.newest and (newer := self._newer_part(parser, until_ns)) is not None:
                part = newer
        except ValueError as bad:
            raise self._line.malformed(str(bad)) from bad
        return part

    def _newer_part(self, parser: MultipartParser, until_ns: int) -> Part | None:
        """One more part, if it can be had from what has already arrived."""
        part = parser.next_part()
        while part is None and not parser.ended and self._line.has_more() and time.monotonic_ns() < until_ns:
            self._feed(parser, until_ns)
            part = parser.next_part()
        return part

    def _feed(self, parser: MultipartParser, until_ns: int) -> None:
        if parser.ended:
            self._line.close()
            raise DeviceError("SOURCE_LOST", f"{self._o.url} ended its stream", hint="is the camera restarting?")
        data = self._line.piece(until_ns)
        parser.feed(data, time.monotonic_ns())

    def _begin_stream(self, until_ns: int) -> MultipartParser:
        headers, _ = self._line.begin(until_ns)
        try:
            boundary = boundary_of(headers.get("content-type", ""))
        except ValueError as bad:
            raise self._line.malformed(str(bad)) from bad
        return MultipartParser(boundary, self._o.max_frame_bytes)


def _split(url: str) -> tuple[str, int, str]:
    """Host, port and path of an http url. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError as bad:
        raise ConfigError("SOURCE_URL_INVALID", f"{url!r} is no url", str(bad), "http://host[:port]/path") from bad
    if parts.scheme != "http" or not host or not url.isascii() or any(c.isspace() for c in url):
        raise ConfigError("SOURCE_URL_INVALID", f"{url!r} is no http url", hint="http://host[:port]/path")
    if parts.username is not None:
        raise ConfigError("SOURCE_URL_INVALID", "a login in the url is not supported", hint="remove user and password")
    return host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
