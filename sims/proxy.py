"""A TCP relay that can be cut, slowed or deafened: network faults without root.

::

    client ──▶ [listen] ─ Pair ─ [dial] ──▶ target        one thread, one selector

* ``ok``      everything passes
* ``cut``     as a pulled cable: nothing passes, nobody is told, connections stand; what was sent comes through later
* ``deaf``    half-open: what the client says arrives, what it should hear does not
* ``refuse``  connections are reset and new ones refused
* ``slow``    every piece of data is ``delay_s`` late
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections import deque
from typing import Literal

from edge.errors import LinkError

Mode = Literal["ok", "cut", "deaf", "refuse", "slow"]

_PIECE_BYTES = 65_536
_MOST_WAITING = 64
"""Pieces held for one side before the other is not read any more: back-pressure, as a wire has."""
_IDLE_S = 0.5


class _Side:
    """One socket and what waits to be sent on it: (due, data), in order."""

    def __init__(self, sock: socket.socket, *, is_client: bool) -> None:
        self.sock = sock
        self.is_client = is_client
        self.other: _Side | None = None
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.ended = False
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Proxy:
    """Relays ``host:port`` to ``target``. ``port`` 0 takes a free one and keeps it."""

    def __init__(self, target: tuple[str, int], host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self.accepted = 0
        self._target = target
        self._mode: Mode = "ok"
        self._delay_s = 0.0
        self._sides: list[_Side] = []
        self._listener: socket.socket | None = None
        self._changes: deque[tuple[Mode, float, threading.Event]] = deque()
        self._stop = False
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_out.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="sim-proxy")

    def start(self) -> None:
        """Listen. Raises LinkError PORT_TAKEN."""
        self._listen()
        self._thread.start()

    def stop(self) -> None:
        """Close everything. May be called twice."""
        self._stop = True
        if self._thread.ident is not None and self._thread.is_alive():
            self._wake()
            self._thread.join()
        self._wake_in.close()
        self._wake_out.close()

    def set_mode(self, mode: Mode, delay_s: float = 0.0) -> None:
        """Break or mend the line; returns when it is so."""
        done = threading.Event()
        self._changes.append((mode, delay_s, done))
        self._wake()
        done.wait(2.0)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_in.send(b".")

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.host, self.port))
            listener.listen()
        except OSError as error:
            listener.close()
            what = f"the simulated network cannot listen on {self.host}:{self.port}"
            raise LinkError("PORT_TAKEN", what, str(error)) from error
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener

    def _run(self) -> None:
        try:
            while not self._stop:
                self._turn()
        finally:
            self._drop_all(reset=False)
            if self._listener is not None:
                self._listener.close()

    def _turn(self) -> None:
        now = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_out, selectors.EVENT_READ)
            if self._listener is not None and self._mode != "cut":
                selector.register(self._listener, selectors.EVENT_READ)
            for side in self._sides:
                if wanted := self._wanted(side, now):
                    selector.register(side.sock, wanted, side)
            ready = selector.select(self._patience_s(now))
        for key, mask in ready:
            if key.fileobj is self._wake_out:
                self._wake_out.recv(4096)
            elif key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.data, _Side) and key.data in self._sides:
                self._move(key.data, mask)
        self._change()

    def _wanted(self, side: _Side, now: float) -> int:
        if self._mode == "cut":
            return 0
        wanted = 0
        other = side.other
        if not side.ended and other is not None and len(other.waiting) < _MOST_WAITING:
            wanted |= selectors.EVENT_READ
        if side.waiting and side.waiting[0][0] <= now and not (self._mode == "deaf" and side.is_client):
            wanted |= selectors.EVENT_WRITE
        return wanted

    def _patience_s(self, now: float) -> float:
        due = [side.waiting[0][0] - now for side in self._sides if side.waiting and side.waiting[0][0] > now]
        return max(0.0, min(due, default=_IDLE_S))

    def _accept(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):
            client, _ = self._listener.accept()
            self.accepted += 1
            try:
                server = socket.create_connection(self._target, timeout=1.0)
            except OSError:
                _reset(client)
                return
            near, far = _Side(client, is_client=True), _Side(server, is_client=False)
            near.other, far.other = far, near
            self._sides += [near, far]

    def _move(self, side: _Side, mask: int) -> None:
        other = side.other
        assert other is not None
        try:
            if mask & selectors.EVENT_READ:
                data = side.sock.recv(_PIECE_BYTES)
                side.ended = not data
                due = time.monotonic() + (self._delay_s if self._mode == "slow" else 0.0)
                other.waiting.append((due, data))
            if mask & selectors.EVENT_WRITE and side.waiting:
                due, data = side.waiting.popleft()
                if not data:
                    self._drop(side)
                    return
                sent = side.sock.send(data)
                if sent < len(data):
                    side.waiting.appendleft((due, data[sent:]))
        except BlockingIOError:
            pass
        except OSError:
            self._drop(side)

    def _change(self) -> None:
        while self._changes:
            self._mode, self._delay_s, done = self._changes.popleft()
            if self._mode == "refuse":
                self._drop_all(reset=True)
                if self._listener is not None:
                    self._listener.close()
                    self._listener = None
            elif self._listener is None:
                self._listen()
            done.set()

    def _drop(self, side: _Side) -> None:
        for one in (side, side.other):
            if one in self._sides:
                self._sides.remove(one)
                one.sock.close()

    def _drop_all(self, *, reset: bool) -> None:
        for side in self._sides:
            _reset(side.sock) if reset else side.sock.close()
        self._sides.clear()


def _reset(sock: socket.socket) -> None:
    """Close so that the peer gets RST, not FIN."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
