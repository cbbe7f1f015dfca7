"""Where other threads (HTTP, signals) hand requests to the coordinator's one thread, and wait for answers."""

from __future__ import annotations

import contextlib
import itertools
import queue
import socket
import threading
from collections.abc import Callable
from typing import Final

from edge.events_fleet import Answer, FleetEvent

MAX_WAITING: Final = 512
"""Requests under way at one time; more are refused at once rather than piled up."""


class Desk:
    """A queue of events with a socket that wakes a selector, and a place for each answer."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[FleetEvent] = queue.SimpleQueue()
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._waiting: dict[int, queue.SimpleQueue[Answer]] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._open = True

    @property
    def wake_socket(self) -> socket.socket:
        """Readable when there is something to :meth:`drain`."""
        return self._near

    def post(self, event: FleetEvent) -> None:
        """Hand over an event. Any thread, and signal handlers."""
        self._inbox.put(event)
        with contextlib.suppress(OSError):  # full: it is awake already; closed: nobody is there any more
            self._far.send(b"!")

    def request(self, make: Callable[[int], FleetEvent], timeout_s: float) -> Answer:
        """Hand over an event that wants an answer, and wait for it. Any thread but the coordinator's own.

        The answer has code COORDINATOR_BUSY or COORDINATOR_STOPPING where none came.
        """
        place: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        with self._lock:
            if not self._open:
                return Answer(0, "COORDINATOR_STOPPING", "the coordinator stops")
            if len(self._waiting) >= MAX_WAITING:
                return Answer(0, "COORDINATOR_BUSY", f"{MAX_WAITING} requests are waiting")
            number = next(self._numbers)
            self._waiting[number] = place
        self.post(make(number))
        try:
            return place.get(timeout=timeout_s)
        except queue.Empty:
            return Answer(number, "COORDINATOR_BUSY", f"no answer within {timeout_s:g} s")
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def drain(self) -> list[FleetEvent]:
        """Everything handed over since the last call. The coordinator's thread only."""
        with contextlib.suppress(BlockingIOError):
            while self._near.recv(4096):
                pass
        events = []
        with contextlib.suppress(queue.Empty):
            while True:
                events.append(self._inbox.get_nowait())
        return events

    def answer(self, answer: Answer) -> None:
        """To whoever waits; nobody may, any more."""
        with self._lock:
            place = self._waiting.get(answer.request_id)
        if place is not None:
            place.put(answer)

    def close(self) -> None:
        """Answer all who wait, and take no more."""
        with self._lock:
            self._open = False
            waiting = list(self._waiting)
        for number in waiting:
            self.answer(Answer(number, "COORDINATOR_STOPPING", "the coordinator stops"))

    def dispose(self) -> None:
        """Close the sockets, when nobody can post any more."""
        self.close()
        self._near.close()
        self._far.close()
