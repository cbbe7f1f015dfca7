"""Motion JPEG's envelope: bytes of a ``multipart/x-mixed-replace`` body in, whole parts out. No socket, no clock.

::

    --boundary CRLF
    Content-Type: image/jpeg CRLF
    Content-Length: 12345 CRLF          (optional; without it the part ends before the next boundary)
    CRLF
    <12345 bytes> CRLF
    --boundary CRLF ...                 (--boundary-- ends the stream)

RFC 2046 section 5.1. Cameras bend it: bare LF, a boundary announced with or without its leading dashes, no
Content-Length. All that is taken; anything larger than the limits is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_HEADER_BYTES = 16_384
MAX_BOUNDARY_CHARS = 200
MAX_LENGTH_DIGITS = 12

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """One part. ``headers`` have lower-case names; ``header_at_ns`` is when the end of its header was fed."""

    headers: Mapping[str, str]
    body: bytes
    header_at_ns: int


def boundary_of(content_type: str) -> str:
    """The boundary a Content-Type announces, without leading dashes. Raises ValueError when there is none."""
    found = _BOUNDARY.search(content_type)
    boundary = (found[1] or found[2]).lstrip("-") if found else ""
    if not content_type.lower().startswith("multipart/") or not 0 < len(boundary) <= MAX_BOUNDARY_CHARS:
        raise ValueError(f"not a multipart stream: Content-Type is {content_type[:80]!r}")
    return boundary


def parse_headers(block: bytes) -> dict[str, str]:
    """Header lines to a dict with lower-case names. Raises ValueError on a line without a colon."""
    headers = {}
    for line in block.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"not a header line: {line[:60]!r}")
        headers[name.strip().lower()] = value.strip()
    return headers


class MultipartParser:
    """Feed bytes with their arrival time, take parts. After a ValueError the stream cannot be trusted any more."""

    def __init__(self, boundary: str, max_body_bytes: int) -> None:
        self._mark = b"--" + boundary.encode("latin-1")
        self._max_body_bytes = max_body_bytes
        self._buffer = bytearray()
        self._scanned = 0
        self._headers: dict[str, str] | None = None
        self._fed_at_ns = 0
        self._header_at_ns = 0
        self.ended = False

    def feed(self, data: bytes, at_ns: int) -> None:
        """Append what just arrived at ``at_ns``. Take all parts there are before feeding again."""
        self._buffer += data
        self._fed_at_ns = at_ns

    def next_part(self) -> Part | None:
        """The next whole part, or None until more is fed. Raises ValueError on nonsense or anything over a limit."""
        if self.ended or (self._headers is None and not self._take_headers()):
            return None
        headers = self._headers
        if headers is None:
            return None
        body = self._take_body(headers.get("content-length"))
        if body is None:
            return None
        self._headers = None
        return Part(headers, body, self._header_at_ns)

    def _take_headers(self) -> bool:
        """Drop all up to the boundary, then parse the header block behind it."""
        start = self._buffer.find(self._mark)
        if start < 0:
            if len(self._buffer) > MAX_HEADER_BYTES:
                raise ValueError(f"no boundary within {MAX_HEADER_BYTES} bytes")
            return False
        after = start + len(self._mark)
        if self._buffer[after : after + 2] == b"--":
            self.ended = True
            return False
        end = _END_OF_HEADERS.search(self._buffer, after)
        if end is None:
            if len(self._buffer) - after > MAX_HEADER_BYTES:
                raise ValueError(f"part header over {MAX_HEADER_BYTES} bytes")
            return False
        self._headers = parse_headers(bytes(self._buffer[after : end.start()]).lstrip(b"\r\n \t"))
        self._header_at_ns = self._fed_at_ns
        self._drop(end.end())
        return True

    def _take_body(self, announced: str | None) -> bytes | None:
        if announced is None:
            return self._take_until_boundary()
        if not announced.isascii() or not announced.isdigit() or len(announced) > MAX_LENGTH_DIGITS:
            raise ValueError(f"Content-Length is {announced[:40]!r}")
        size = int(announced)
        if size > self._max_body_bytes:
            raise ValueError(f"part of {size} bytes, the limit is {self._max_body_bytes}")
        if len(self._buffer) < size:
            return None
        body = bytes(self._buffer[:size])
        self._drop(size)
        return body

    def _take_until_boundary(self) -> bytes | None:
        found = self._buffer.find(self._mark, self._scanned)
        if found < 0:
            if len(self._buffer) > self._max_body_bytes:
                raise ValueError(f"part over {self._max_body_bytes} bytes")
            # The boundary may be cut in two by the end of what was fed.
            self._scanned = max(0, len(self._buffer) - len(self._mark))
            return None
        if found > self._max_body_bytes:
            raise ValueError(f"part over {self._max_body_bytes} bytes")
        body = bytes(self._buffer[:found]).removesuffix(b"\n").removesuffix(b"\r")
        self._drop(found)
        return body

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._scanned = 0
