"""A kept-alive HTTP/1.1 connection whose every exchange has one deadline on the monotonic clock.

http.client's own time-out starts again with each byte; a camera that trickles would hold its thread for ever. So the
socket under it counts down to `until_ns`. TCP_NODELAY is set, for requests are smaller than a segment.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any

from edge.errors import DeviceError

PIECE_BYTES = 65_536
HTTP_OK = 200


class DeadlinePassedError(OSError):
    """Unlike TimeoutError, it leaves a buffered reader usable: the next read may go on where this one stopped."""


class HttpLine:
    """One connection to one camera. Not thread-safe. Only DeviceError comes out."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self._where = f"http://{host}:{port}{path}"
        self._path = path
        self._connection = _Connection(host, port)
        self._response: HTTPResponse | None = None

    @property
    def is_open(self) -> bool:
        """True until close() or a failure other than a time-out."""
        return self._connection.opened

    def open(self, timeout_s: float) -> None:
        """Connect. Raises DeviceError SOURCE_ABSENT or SOURCE_TIMEOUT."""
        self.close()
        self._connection.until_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        try:
            self._connection.connect()
        except (TimeoutError, DeadlinePassedError) as late:
            raise self._timeout("no connection in time") from late
        except OSError as cause:
            why = cause.strerror or str(cause)
            raise DeviceError(
                "SOURCE_ABSENT", f"no camera at {self._where}", why, "check url, cable and power"
            ) from cause
        self._connection.opened = True

    def close(self) -> None:
        """Never raises."""
        if self._response is not None:
            self._response.close()  # http.client leaves the socket of an endless body to the response alone
            self._response = None
        self._connection.opened = False
        self._connection.close()

    def begin(self, until_ns: int) -> tuple[Mapping[str, str], int]:
        """Send a GET and read the answer's header: (headers, monotonic time just before sending).

        A connection that the camera closed while idle, or that a time-out cost, is replaced first: no request is sent
        twice.
        """
        if not self.is_open:
            raise DeviceError("SOURCE_NOT_OPEN", f"{self._where} is not connected", hint="open it first")
        self._connection.until_ns = until_ns
        try:
            if self._connection.is_stale():
                self._connection.close()
                self._connection.connect()
            sent_ns = time.monotonic_ns()
            self._connection.request("GET", self._path, headers={"Accept": "image/jpeg, image/*, multipart/*"})
            self._response = self._connection.getresponse()
        except (OSError, HTTPException) as cause:
            raise self._failed(cause) from cause
        self._check_status(self._response.status)
        return {name.lower(): value for name, value in self._response.getheaders()}, sent_ns

    def body(self, max_bytes: int, until_ns: int) -> bytes:
        """The whole body of the current answer. Raises FRAME_MALFORMED over ``max_bytes``."""
        response = self._current(until_ns)
        pieces, size = [], 0
        try:
            while piece := response.read(PIECE_BYTES):
                pieces.append(piece)
                size += len(piece)
                if size > max_bytes:
                    raise self.malformed(f"a frame over {max_bytes} bytes")
            if response.length:
                raise self._lost(f"{response.length} bytes before the end of a frame")
        except (OSError, HTTPException) as cause:
            raise self._failed(cause) from cause
        response.close()
        return b"".join(pieces)

    def piece(self, until_ns: int) -> bytes:
        """Some bytes of a body without end. After SOURCE_TIMEOUT it may be called again, nothing being lost, unless
        the body is chunked: there the reader may have stopped within a chunk's header, and the connection is closed.
        """
        response = self._current(until_ns)
        try:
            data = response.read1(PIECE_BYTES)
        except DeadlinePassedError as late:
            if response.chunked:
                self.close()
            raise self._timeout("no frame in time") from late
        except (OSError, HTTPException) as cause:
            raise self._failed(cause) from cause
        if not data:
            self.close()
            raise DeviceError("SOURCE_LOST", f"{self._where} ended its stream", hint="is the camera restarting?")
        return data

    def has_more(self) -> bool:
        """True if bytes wait at the socket right now."""
        return self._connection.is_readable()

    def malformed(self, why: str) -> DeviceError:
        """Close (the stream cannot be trusted any more) and make the error to raise."""
        self.close()
        return DeviceError(
            "FRAME_MALFORMED",
            f"{self._where} sent what is no frame",
            why,
            "open the url in a browser to see what it sends",
        )

    def _current(self, until_ns: int) -> HTTPResponse:
        if self._response is None:
            raise DeviceError("SOURCE_NOT_OPEN", f"{self._where} is not connected", hint="open it first")
        self._connection.until_ns = until_ns
        return self._response

    def _check_status(self, status: int) -> None:
        if status == HTTP_OK:
            return
        self.close()
        code, hint = {
            401: ("SOURCE_REFUSED", "the camera wants a login; switch it off there, logins are not supported yet"),
            403: ("SOURCE_REFUSED", "the camera forbids this address"),
            404: ("SOURCE_ABSENT", "check the path in url"),
        }.get(status, ("SOURCE_LOST", "look at the camera's own status page"))
        raise DeviceError(code, f"{self._where} answered HTTP {status}", hint=hint)

    def _failed(self, cause: Exception) -> DeviceError:
        if isinstance(cause, DeadlinePassedError | TimeoutError):
            # The late answer must not be taken for the next one: the socket goes, the line counts as open.
            self.close()
            self._connection.opened = True
            return self._timeout("no whole frame in time")
        self.close()
        if isinstance(cause, OSError):  # RemoteDisconnected is one of these too
            return self._lost(cause.strerror or str(cause))
        if isinstance(cause, IncompleteRead):
            return self._lost("in the middle of a frame")
        return self.malformed(f"not HTTP: {type(cause).__name__} {str(cause)[:80]}")

    def _lost(self, why: str) -> DeviceError:
        self.close()
        return DeviceError("SOURCE_LOST", f"the connection to {self._where} broke", why, "check cable and power")

    def _timeout(self, what: str) -> DeviceError:
        return DeviceError(
            "SOURCE_TIMEOUT", f"{self._where}: {what}", hint="check the camera, or give it more time (timeout_s)"
        )


class _Socket(socket.socket):
    """Counts down to one deadline over any number of calls."""

    until_ns = 0

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._arm()
        try:
            return super().recv_into(*args, **kwargs)
        except (TimeoutError, BlockingIOError) as late:
            raise DeadlinePassedError("deadline passed") from late

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self._arm()
        try:
            super().sendall(*args, **kwargs)
        except (TimeoutError, BlockingIOError) as late:
            raise DeadlinePassedError("deadline passed") from late

    def _arm(self) -> None:
        left_s = (self.until_ns - time.monotonic_ns()) / 1e9
        if left_s <= 0:
            raise DeadlinePassedError("deadline passed")
        self.settimeout(left_s)


class _Connection(HTTPConnection):
    """http.client's connection on such sockets."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.opened = False
        self._until_ns = 0
        self._live: _Socket | None = None  # http.client forgets its socket while an endless body is read

    @property
    def until_ns(self) -> int:
        return self._until_ns

    @until_ns.setter
    def until_ns(self, until_ns: int) -> None:
        self._until_ns = until_ns
        if self._live is not None:
            self._live.until_ns = until_ns

    def connect(self) -> None:
        left_s = (self._until_ns - time.monotonic_ns()) / 1e9
        plain = socket.create_connection((self.host, self.port), timeout=max(left_s, 0.001))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._live = _Socket(plain.family, plain.type, plain.proto, fileno=plain.detach())
        self._live.until_ns = self._until_ns
        self.sock = self._live

    def is_readable(self) -> bool:
        if self._live is None or self._live.fileno() < 0:
            return False
        poll = select.poll()  # select() refuses descriptors over 1023
        poll.register(self._live, select.POLLIN)
        return bool(poll.poll(0))

    def is_stale(self) -> bool:
        """Between two exchanges nothing may come: what is readable then is the other side's goodbye, or rubbish."""
        return self.sock is None or self.is_readable()
