"""The link: one paho client a connection, driven by a thread of ours that connects and one of paho's that reads and writes.

::

    core ── Connect ──▶ thread "link" (blocking connect) ──▶ paho's network thread
    core ◀─ Connected | Received | Refused | Disconnected ── callbacks (wire.py)

Reconnecting is the core's business (``core/backoff.py``).
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from edge.events import AgentEvent
from edge.shell.endpoint import Endpoint, explain, silent
from edge.shell.wire import CONNECT_TIMEOUT_S, Wire, unsent

FAREWELL_S = 1.0
"""So long may saying goodbye take."""


class MqttLink(Wire):
    """An agent's connection, driven by a thread of its own and one of paho's."""

    def __init__(
        self,
        endpoint: Endpoint,
        site: str,
        agent: str,
        post: Callable[[AgentEvent], None],
        conn_no: Callable[[], int],
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        """Raises ConfigError TLS_FILE_UNUSABLE."""
        super().__init__(endpoint, site, agent, post, conn_no, connect_timeout_s=connect_timeout_s)
        self._orders: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._thread.start()

    def connect(self, will: bytes) -> None:
        """Try once, in the background; the outcome comes as Connected or Disconnected."""
        self._orders.put(will)

    def disconnect(self, linger_s: float = 2.0) -> None:
        """Leave in good order: what was handed over goes out first, as far as ``linger_s`` allows."""
        client, self._up, self._trying = self._client, False, False
        if client is not None:
            _wait(lambda: not (client.is_connected() and unsent(client)), linger_s)
            client.disconnect()

    def close(self) -> None:
        """End the thread and the connection."""
        self._up = self._trying = False
        self._orders.put(None)
        self._thread.join(self._connect_timeout_s + FAREWELL_S + 4.0)

    def _run(self) -> None:
        while True:
            try:
                # paho itself gives up after the keep-alive, which may be minutes.
                will = self._orders.get(timeout=self._connect_timeout_s if self._trying else None)
            except queue.Empty:
                self._give_up()
                continue
            self._drop()
            if will is None:
                return
            self._try(will)

    def _try(self, will: bytes) -> None:
        client = self._begin(will)
        try:
            self.dial(client)
        except (OSError, ValueError) as error:
            self._client = None
            self._down(*explain(error, self._endpoint, self._connect_timeout_s))
        else:
            client.loop_start()

    def _give_up(self) -> None:
        if self._trying:
            self._drop()  # its thread has ended after this: nothing else is said of it any more
        if self._trying:
            self._down(*silent(self._endpoint, self._connect_timeout_s))

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._goodbye(client)
            # paho's thread stays until all is sent, or the keep-alive is over: a peer that reads no more is left.
            _wait(lambda: client.socket() is None, FAREWELL_S)
            _shut(client.socket())
            client.loop_stop()


def _wait(done: Callable[[], bool], most_s: float) -> None:
    deadline, pause = time.monotonic() + most_s, threading.Event()
    while not done() and time.monotonic() < deadline:
        pause.wait(0.005)


def _shut(sock: Any) -> None:
    if sock is not None:
        with suppress(OSError):  # it may be gone meanwhile
            sock.shutdown(socket.SHUT_RDWR)
