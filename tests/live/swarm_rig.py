"""A swarm's link behind the face of the other links, with the smallest loop that drives one."""

from __future__ import annotations

import queue
import selectors
import socket
import time
from typing import Any

import paho.mqtt.client as paho

from edge.shell.endpoint import Endpoint
from sims.swarm.link import Dialler, SwarmLink
from tests.live.broker_rig import BIRTH, CONNECT_TIMEOUT_S, WAIT_S, AgentEnd, Outcome, outcome_of


class SwarmEnd(AgentEnd):
    """The agent's face; what the link asks of its loop is done in :meth:`next`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.selector: selectors.BaseSelector = selectors.DefaultSelector()
        self._idle = socket.socketpair()  # an empty selector would not wait
        self.selector.register(self._idle[0], selectors.EVENT_READ)
        self._dialled: queue.SimpleQueue[tuple[SwarmLink, paho.Client, Exception | None]] = queue.SimpleQueue()
        self._dialler = Dialler(lambda *done: self._dialled.put(done), threads=1)
        self._writers: list[SwarmLink] = []
        self._link = SwarmLink(
            self, endpoint, "hall", "cell", self.events.put, lambda: 1, connect_timeout_s=CONNECT_TIMEOUT_S
        )

    def dial(self, link: SwarmLink, client: paho.Client) -> None:
        self._dialler.dial(link, client)

    def write_soon(self, link: SwarmLink) -> None:
        self._writers.append(link)

    def settle_soon(self, link: SwarmLink) -> None:
        """Every turn of the loop does."""

    def say(self, kind: str = "state", payload: bytes = BIRTH) -> None:
        assert self._link.publish(kind, payload)  # type: ignore[arg-type]

    def next(self, wait_s: float = WAIT_S) -> Any:
        end = time.monotonic() + wait_s
        while self.events.empty() and time.monotonic() < end:
            self._turn()
        return self.events.get_nowait()

    def outcome(self, wait_s: float = WAIT_S) -> Outcome:
        return outcome_of(self.next, wait_s)

    def goodbye(self) -> None:
        self._link.disconnect()
        while not self._link.gone:
            self._turn()

    def close(self) -> None:
        self._link.close()
        self._dialler.close()
        self.selector.close()
        for one in self._idle:
            one.close()

    def _turn(self) -> None:
        while not self._dialled.empty():
            self._link.dialled(*self._dialled.get()[1:])
        writers, self._writers = self._writers, []
        for link in writers:
            link.flush()
        for key, mask in self.selector.select(0.02):
            if key.data is not None:
                key.data(mask)
        self._link.misc(time.monotonic())
        self._link.settle(time.monotonic())
