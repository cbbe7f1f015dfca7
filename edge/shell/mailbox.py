"""The one way into a core: any thread posts, one thread takes, what is local always goes first.

::

    capture, infer, actuate, journal … ──▶ local lane (never dropped) ─┐
                                                                      ├─▶ get() ─▶ core.handle(event, now_ns)
    paho (Received, Refused)           ──▶ remote lane (at most 256)  ─┘
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from typing import Generic, TypeVar

from edge.events import REMOTE

E = TypeVar("E")


class Mailbox(Generic[E]):
    """Two lanes behind one wake-up.

    Each event puts one token in a ``SimpleQueue``: its C implementation wakes the reader in some 15 µs, several times
    faster than a ``Condition`` with a time-out. ``remote`` names the event types of the bounded lane; when it is full
    the newest is dropped and counted, for a flood from the network must not push out what came in order before it.
    """

    def __init__(self, remote_limit: int = 256, remote: tuple[type, ...] = REMOTE) -> None:
        self._remote_types = remote
        self._remote_limit = remote_limit
        self._local: deque[E] = deque()
        self._remote: deque[E] = deque()
        self._remote_lock = threading.Lock()
        self._tokens: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._dropped_remote = 0

    @property
    def dropped_remote(self) -> int:
        """Remote events that found their lane full, since boot."""
        return self._dropped_remote

    def __len__(self) -> int:
        return len(self._local) + len(self._remote)

    def post(self, event: E) -> None:
        """Hand over one event from any thread; never blocks."""
        if isinstance(event, self._remote_types):
            with self._remote_lock:
                if len(self._remote) >= self._remote_limit:
                    self._dropped_remote += 1
                    return
                self._remote.append(event)
        else:
            self._local.append(event)
        self._tokens.put(None)

    def get(self, timeout_s: float | None) -> E | None:
        """The oldest local event, else the oldest remote one; None when ``timeout_s`` (None: never) is over.

        Only one thread may call this.
        """
        try:
            self._tokens.get(timeout=None if timeout_s is None else max(0.0, timeout_s))
        except queue.Empty:
            return None
        return (self._local or self._remote).popleft()
