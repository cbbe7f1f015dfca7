from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.shell.notify import Notifier, Watchdog


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(5)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.environ = {"NOTIFY_SOCKET": address}

    def hear(self) -> str:
        return self.socket.recv(4096).decode()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@jidoka-test-{os.getpid()}"
    manager = Manager(address)
    yield manager
    manager.socket.close()


def test_the_manager_hears_everything(manager: Manager):
    notifier = Notifier(manager.environ)
    assert notifier.wanted
    assert notifier.ready() and notifier.status("120 parts,\n 2 rejected") and notifier.feed() and notifier.stopping()
    heard = [manager.hear() for _ in range(4)]
    assert heard == ["READY=1", "STATUS=120 parts, 2 rejected", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@nobody-listens-here", "vsock:2:1234"])
def test_nobody_listening_is_no_fault(address: str):
    notifier = Notifier({"NOTIFY_SOCKET": address})
    assert notifier.ready() is False
    assert Notifier({}).wanted is False


def test_the_interval_is_for_this_process_only():
    assert Notifier({"WATCHDOG_USEC": "2500000"}).watchdog_s == 2.5
    assert Notifier({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())}).watchdog_s == 2.5
    assert Notifier({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}).watchdog_s == 0
    for odd in ("", "soon", "-5", "1e6", "²"):
        assert Notifier({"WATCHDOG_USEC": odd}).watchdog_s == 0


def test_the_watchdog_feeds_only_the_living(manager: Manager):
    notifier = Notifier(manager.environ | {"WATCHDOG_USEC": "20000"})
    lives = threading.Event()
    asked: list[float] = []
    changed = threading.Condition()

    def alive(within_s: float) -> bool:
        with changed:
            asked.append(within_s)
            changed.notify_all()
        return lives.is_set()

    def looked(times: int) -> None:
        with changed:
            start = len(asked)
            assert changed.wait_for(lambda: len(asked) >= start + times, 5)

    watchdog = Watchdog(notifier, alive)
    watchdog.start()
    looked(3)
    assert watchdog.fed == 0 and not watchdog.healthy
    lives.set()
    assert manager.hear() == "WATCHDOG=1"
    assert manager.hear() == "WATCHDOG=1"
    lives.clear()
    looked(2)
    fed = watchdog.fed
    looked(3)
    assert watchdog.fed == fed
    watchdog.stop()
    assert not watchdog.alive
    assert set(asked) == {0.02}


def test_without_a_manager_the_watchdog_still_looks_and_stops():
    looked = threading.Event()

    def alive(within_s: float) -> bool:
        looked.set()
        return within_s > 0

    watchdog = Watchdog(Notifier({}), alive)
    watchdog.start()
    assert looked.wait(5)
    watchdog.stop()
    assert watchdog.healthy
    assert watchdog.fed == 0
