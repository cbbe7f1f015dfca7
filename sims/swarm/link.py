"""An agent's link without a thread: the same client and callbacks as the agent's own, driven by one selector for all.

::

    core ── Connect ──▶ dialler (a thread for all: TCP and TLS block) ──▶ hive's selector: read, write, keep-alive
    core ◀─ Connected | Received | Refused | Disconnected ── the callbacks of edge.shell.wire
"""

from __future__ import annotations

import queue
import selectors
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import paho.mqtt.client as paho

from edge.shell.endpoint import explain, silent
from edge.shell.wire import Wire, unsent

LINGER_S = 2.0
BOTH = selectors.EVENT_READ | selectors.EVENT_WRITE


class Loop(Protocol):
    """What a link needs of whoever drives it."""

    selector: selectors.BaseSelector

    def dial(self, link: SwarmLink, client: paho.Client) -> None:
        """Connect in the background, then call :meth:`SwarmLink.dialled`."""

    def write_soon(self, link: SwarmLink) -> None:
        """Call :meth:`SwarmLink.flush` at the end of the turn."""

    def settle_soon(self, link: SwarmLink) -> None:
        """Call :meth:`SwarmLink.settle` at the end of the turn."""


class SwarmLink(Wire):
    """A :class:`edge.ports.Link`. Everything but the dialling happens in the loop's thread."""

    def __init__(self, loop: Loop, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._loop = loop
        self._watched: Any = None
        self._watched_for = 0
        self._writes = False
        self._give_up_at = 0.0
        self._leave_by = 0.0

    @property
    def up(self) -> bool:
        return self._up

    @property
    def gone(self) -> bool:
        """Nothing of a connection is left."""
        return self._client is None and self._watched is None

    def connect(self, will: bytes) -> None:
        """Try once, in the background; the outcome comes as Connected or Disconnected."""
        self._drop()
        self._give_up_at = time.monotonic() + self._connect_timeout_s
        self._leave_by = 0.0
        self._loop.dial(self, self._begin(will))

    def dialled(self, client: paho.Client, error: Exception | None) -> None:
        """The dialler is done with ``client``."""
        sock = client.socket()
        if client is not self._client or not self._trying:
            if sock is not None:
                sock.close()
        elif error is not None or sock is None:
            self._client = None
            self._down(*explain(error or OSError("it closed"), self._endpoint, self._connect_timeout_s))
        else:
            self._watched, self._watched_for = sock, selectors.EVENT_READ
            self._loop.selector.register(sock, selectors.EVENT_READ, self.ready)
            self._write_soon()

    def disconnect(self) -> None:
        """Leave in good order: what was handed over goes out first, as far as ``LINGER_S`` allows."""
        self._up = self._trying = False
        if self._client is not None:
            self._leave_by = time.monotonic() + LINGER_S
            self._loop.settle_soon(self)

    def close(self) -> None:
        """Let go at once."""
        self._up = self._trying = False
        self._drop()

    def ready(self, mask: int) -> None:
        """The socket has something for us, or takes something again."""
        client = self._client
        if client is None:
            return
        if mask & selectors.EVENT_READ:
            client.loop_read()
            pending = getattr(self._watched, "pending", None)  # what TLS has decrypted already, select does not see
            while pending is not None and self._watched is not None and pending():
                client.loop_read()
        if mask & selectors.EVENT_WRITE:
            self._write_soon()
        if self._leave_by:
            self._loop.settle_soon(self)

    def flush(self) -> None:
        """Write what is queued, as far as the socket takes it; the selector wakes us for the rest."""
        self._writes = False
        client = self._client
        if client is None or self._watched is None:
            return
        if client.want_write():
            client.loop_write()
        if self._watched is not None:
            wanted = BOTH if client.want_write() else selectors.EVENT_READ
            if wanted != self._watched_for:
                self._watched_for = wanted
                self._loop.selector.modify(self._watched, wanted, self.ready)

    def misc(self, now_s: float) -> None:
        """Keep-alive, and an end to attempts that hang. About once a second."""
        client = self._client
        if client is None:
            return
        if self._watched is not None:
            client.loop_misc()
        if self._trying and now_s > self._give_up_at:
            self._down(*silent(self._endpoint, self._connect_timeout_s))

    def settle(self, now_s: float) -> None:
        """Let go of a connection that ended, is of no use, or has said its last word."""
        client = self._client
        if client is None or self._up or self._trying:
            return
        if self._leave_by:
            if self._watched is not None and unsent(client) and now_s < self._leave_by:
                return
            self._leave_by = 0.0
            client.on_disconnect = None
            client.disconnect()
            self._forget(client)
        else:
            self._drop()

    @property
    def leaving(self) -> bool:
        """Its last words are still on their way."""
        return self._leave_by > 0

    def _drop(self) -> None:
        client = self._client
        if client is not None:
            self._goodbye(client)
            self._forget(client)

    def _forget(self, client: paho.Client) -> None:
        self._client = None
        if self._watched is not None:
            client.loop_write()
        sock = self._watched
        if sock is not None:
            self._unwatch()
            sock.close()

    def _unwatch(self) -> None:
        sock, self._watched = self._watched, None
        if sock is not None and sock.fileno() >= 0:
            self._loop.selector.unregister(sock)

    def _make(self, will: bytes) -> paho.Client:
        client = super()._make(will)
        client.on_socket_close = self._on_close
        client.on_socket_register_write = self._on_write  # its being there keeps paho from writing inside publish()
        return client

    def _down(self, code: str, what: str) -> None:
        super()._down(code, what)
        self._loop.settle_soon(self)

    def _on_close(self, _client: paho.Client, _data: Any, sock: Any) -> None:
        if sock is self._watched:
            self._unwatch()

    def _on_write(self, _client: paho.Client, _data: Any, _sock: Any) -> None:
        if self._watched is not None:  # else the dialler's thread is at it
            self._write_soon()

    def _write_soon(self) -> None:
        if not self._writes:
            self._writes = True
            self._loop.write_soon(self)


class Dialler:
    """Threads that make connections, as reaching a host and the TLS handshake block. ``done`` is called in them."""

    def __init__(self, done: Callable[[SwarmLink, paho.Client, Exception | None], None], threads: int = 2) -> None:
        self._done = done
        self._orders: queue.SimpleQueue[tuple[SwarmLink, paho.Client] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name=f"dialler-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def dial(self, link: SwarmLink, client: paho.Client) -> None:
        """Soon."""
        self._orders.put((link, client))

    def close(self) -> None:
        """End the threads; one that hangs in a connection is left to its time-out."""
        for _ in self._threads:
            self._orders.put(None)
        for thread in self._threads:
            thread.join(0.5)

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            link, client = order
            try:
                link.dial(client)
            except Exception as error:  # noqa: BLE001 - whatever it is, this attempt failed
                self._done(link, client, error)
            else:
                self._done(link, client, None)
