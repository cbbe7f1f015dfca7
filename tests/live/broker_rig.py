"""Mosquitto with any settings, and the two links of the house behind one face, so that each test is for both."""

from __future__ import annotations

import os
import queue
import selectors
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edge.coordinator.link import SelectorLink
from edge.events import Connected, Disconnected
from edge.events_fleet import LinkDown, LinkUp
from edge.messages import State
from edge.shell.endpoint import Endpoint
from edge.shell.mqtt import MqttLink
from edge.topics import encode

WAIT_S = 15.0
CONNECT_TIMEOUT_S = 1.5
WILL = encode("state", State("offline", "log", 1, 1))
BIRTH = encode("state", State("online", "log", 1, 1))
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def mosquitto(folder: Path, *lines: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Mosquitto with these settings, on a free port of 127.0.0.1."""
    if MOSQUITTO is None:
        pytest.skip("needs Mosquitto: apt-get install mosquitto")
    port = free_port()
    user = ["user root"] if os.geteuid() == 0 else []
    config = [*user, f"listener {port} 127.0.0.1", "set_tcp_nodelay true", *lines]
    (folder / "mosquitto.conf").write_text("\n".join(config) + "\n")
    process = subprocess.Popen([MOSQUITTO, "-c", str(folder / "mosquitto.conf")], stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        # It says so when it listens; what it says before is kept for the failure's message.
        said = b""
        while b" running" not in said:
            line = process.stderr.readline()
            assert line, f"Mosquitto ended: {said.decode()}"
            said += line
        yield port, process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(WAIT_S)
        process.stderr.close()


class Outcome(NamedTuple):
    """``code`` is empty for a connection that stands."""

    code: str
    what: str = ""


class AgentEnd:
    """The agent's link."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._link = MqttLink(endpoint, "hall", "cell", self.events.put, lambda: 1, connect_timeout_s=CONNECT_TIMEOUT_S)

    def connect(self) -> None:
        self._link.connect(WILL)

    def say(self, kind: str = "state", payload: bytes = BIRTH) -> None:
        assert self._link.publish(kind, payload)  # type: ignore[arg-type]

    def next(self, wait_s: float = WAIT_S) -> Any:
        return self.events.get(timeout=wait_s)

    def outcome(self, wait_s: float = WAIT_S) -> Outcome:
        return outcome_of(self.next, wait_s)

    def goodbye(self) -> None:
        self._link.disconnect()

    def close(self) -> None:
        self._link.close()


class CoordinatorEnd:
    """The coordinator's link, with the loop that drives it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._selector = selectors.DefaultSelector()
        # It registers nothing of its own before it connects, and an empty selector would not wait.
        self._idle = socket.socketpair()
        self._selector.register(self._idle[0], selectors.EVENT_READ)
        self._link = SelectorLink(
            endpoint, "hall", "coordinator", self._selector, self.events.put, connect_timeout_s=CONNECT_TIMEOUT_S
        )

    def connect(self) -> None:
        self._link.connect(WILL)

    def say(self, kind: str = "state", payload: bytes = BIRTH, agent: str = "coordinator") -> None:
        self._link.publish(agent, kind, payload, retain=kind == "state")

    def next(self, wait_s: float = WAIT_S) -> Any:
        end = time.monotonic() + wait_s
        while self.events.empty() and time.monotonic() < end:
            self._link.flush()
            self._selector.select(0.05)
            self._link.pump()
            self._link.misc()
        return self.events.get_nowait()

    def outcome(self, wait_s: float = WAIT_S) -> Outcome:
        return outcome_of(self.next, wait_s)

    def close(self) -> None:
        self._link.close()
        self._selector.close()
        for one in self._idle:
            one.close()


Dial = Callable[[Endpoint], AgentEnd | CoordinatorEnd]


def outcome_of(next_event: Callable[[float], Any], wait_s: float) -> Outcome:
    """Of the next connection or loss; retained messages and echoes in between are nobody's."""
    while True:
        match next_event(wait_s):
            case Connected() | LinkUp():
                return Outcome("")
            case Disconnected(code, what) | LinkDown(code, what):
                return Outcome(code, what)
