"""The simulated client and the agent's own link say the same when the same happens to them.

Each script is run twice: ``MqttLink`` with paho through a relay to Mosquitto, and ``NetWire`` on the net in memory.
"""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Protocol

import pytest

from edge.events import Connected, Disconnected, Received
from edge.shell.broker import Broker, find_mosquitto
from edge.shell.endpoint import Endpoint
from edge.topics import topic
from sims.proxy import Proxy
from sims.virtual.kernel import NS, Kernel
from sims.virtual.net import Net
from sims.virtual.wire import Arrived, WireDown, WireUp
from tests.live.broker_rig import BIRTH, CONNECT_TIMEOUT_S, WILL, AgentEnd

pytestmark = pytest.mark.live
KEEPALIVE_S = 2
"""Longer than the time-out of an attempt: else paho itself ends one that is not answered, as LINK_LOST."""
STATE = topic("hall", "cell", "state")
REST = [topic("hall", "cell", kind) for kind in ("desired", "ask", "ack")]  # type: ignore[arg-type]

Mode = Literal["ok", "cut", "deaf", "refuse"]


class Told(NamedTuple):
    """``up``, ``heard``, or the code of a loss; and how long it took to come."""

    what: str
    after_s: float


class End(Protocol):
    """One client."""

    def dial(self) -> None: ...
    def birth(self) -> None: ...
    def goodbye(self) -> None: ...
    def next(self) -> Told: ...


class Side(Protocol):
    """A broker, a line to it that can be broken, and clients of one name."""

    def end(self) -> End: ...
    def line(self, mode: Mode) -> None: ...
    def broker(self, what: Literal["kill", "start", "freeze"]) -> None: ...


class LiveEnd:
    def __init__(self, endpoint: Endpoint) -> None:
        self.link = AgentEnd(endpoint)

    def dial(self) -> None:
        self.link.connect()

    def birth(self) -> None:
        self.link.say("state", BIRTH)

    def goodbye(self) -> None:
        self.link.goodbye()

    def next(self) -> Told:
        began = time.monotonic()
        event = self.link.next()
        after_s = time.monotonic() - began
        match event:
            case Connected():
                return Told("up", after_s)
            case Received():
                return Told("heard", after_s)
            case Disconnected(code, _):
                return Told(code, after_s)
        raise AssertionError(event)


class LiveSide:
    def __init__(self) -> None:
        self._broker = Broker("mosquitto").start()
        self._proxy = Proxy((self._broker.host, self._broker.port))
        self._proxy.start()
        self._ends: list[LiveEnd] = []

    def end(self) -> LiveEnd:
        self._ends.append(LiveEnd(Endpoint("127.0.0.1", self._proxy.port, KEEPALIVE_S)))
        return self._ends[-1]

    def line(self, mode: Mode) -> None:
        self._proxy.set_mode(mode)

    def broker(self, what: Literal["kill", "start", "freeze"]) -> None:
        if what == "freeze":
            assert self._broker.pid is not None
            os.kill(self._broker.pid, signal.SIGSTOP)
        elif what == "kill":
            self._broker.kill()
        else:
            self._broker.restart()

    def close(self) -> None:
        self._proxy.set_mode("ok")
        if self._broker.pid is not None:
            os.kill(self._broker.pid, signal.SIGCONT)
        for end in self._ends:
            end.link.close()
        self._proxy.stop()
        self._broker.stop()


class VirtualEnd:
    def __init__(self, side: VirtualSide) -> None:
        self._side = side
        self._told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._wire = side.net.wire("cell", self, KEEPALIVE_S, connect_timeout_s=CONNECT_TIMEOUT_S, tells_goodbye=True)

    def take(self, event: Any, _t_ns: int) -> None:
        self._told.put(event)

    def dial(self) -> None:
        self._wire.connect((STATE, WILL), [[STATE], REST])

    def birth(self) -> None:
        assert self._wire.publish(STATE, BIRTH, qos=1, retain=True)

    def goodbye(self) -> None:
        self._wire.disconnect()

    def next(self) -> Told:
        kernel = self._side.kernel
        began_ns = kernel.now_ns
        while self._told.empty():
            due_ns = kernel.next_ns()
            assert due_ns is not None and due_ns - began_ns < 15 * NS, "nothing is told"
            kernel.run(due_ns)
        after_s = (kernel.now_ns - began_ns) / NS
        match self._told.get():
            case WireUp():
                return Told("up", after_s)
            case Arrived():
                return Told("heard", after_s)
            case WireDown(_, code, _):
                return Told(code, after_s)
        raise AssertionError


class VirtualSide:
    def __init__(self) -> None:
        self.kernel = Kernel(1)
        self.net = Net(self.kernel)

    def end(self) -> VirtualEnd:
        return VirtualEnd(self)

    def line(self, mode: Mode) -> None:
        self.net.set_mode(["cell"], mode)

    def broker(self, what: Literal["kill", "start", "freeze"]) -> None:
        if what == "start":
            self.net.start_broker()
        else:
            self.net.stop_broker("kill" if what == "kill" else "vanish")

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture(params=["mosquitto", "memory"])
def side(request) -> Iterator[LiveSide | VirtualSide]:
    if request.param == "mosquitto" and find_mosquitto() is None:
        pytest.skip("needs Mosquitto: apt-get install mosquitto")
    made = LiveSide() if request.param == "mosquitto" else VirtualSide()
    yield made
    made.close()


def up(side: Side) -> End:
    end = side.end()
    end.dial()
    assert end.next().what == "up"
    return end


def test_what_stood_there_before_is_heard_before_we_are_up(side):
    first = up(side)
    first.birth()
    assert first.next().what == "heard"  # its own
    first.goodbye()
    assert first.next().what == "LINK_LOST"
    second = side.end()
    second.dial()
    assert [second.next().what, second.next().what] == ["heard", "up"]


@pytest.mark.parametrize("mode", ["cut", "deaf"])
def test_a_dead_line_is_noticed_by_the_keep_alive(side, mode):
    end = up(side)
    side.line(mode)
    told = end.next()
    assert told.what == "LINK_LOST"
    assert KEEPALIVE_S <= told.after_s <= 2 * KEEPALIVE_S + 2.5  # paho looks once a second
    end.dial()
    told = end.next()
    assert told.what == "LINK_TIMEOUT"
    assert told.after_s == pytest.approx(CONNECT_TIMEOUT_S, abs=0.5)
    side.line("ok")
    end.dial()
    assert end.next().what in {"up", "heard"}  # the will may stand there by now


def test_a_reset_line(side):
    end = up(side)
    side.line("refuse")
    assert end.next().what == "LINK_LOST"
    end.dial()
    told = end.next()
    assert told.what == "LINK_REFUSED"
    assert told.after_s < 1.0
    side.line("ok")
    end.dial()
    assert {end.next().what, end.next().what} == {"heard", "up"}  # our will, retained


def test_a_frozen_broker(side):
    end = up(side)
    side.broker("freeze")
    told = end.next()
    assert told.what == "LINK_LOST"
    assert KEEPALIVE_S <= told.after_s <= 2 * KEEPALIVE_S + 2.5
    end.dial()
    assert end.next().what == "LINK_TIMEOUT"


def test_a_killed_broker_has_forgotten_the_state(side):
    end = up(side)
    end.birth()
    assert end.next().what == "heard"
    side.broker("kill")
    assert end.next().what == "LINK_LOST"
    side.broker("start")
    end.dial()
    assert end.next().what == "up"


def test_the_later_of_two_pushes_the_earlier_off_and_leaves_its_will(side):
    first = up(side)
    first.birth()
    assert first.next().what == "heard"
    second = side.end()
    second.dial()
    assert first.next().what == "LINK_LOST"
    assert [second.next().what, second.next().what] == ["heard", "up"]  # the first one's will


def test_a_short_cut_is_not_noticed(side):
    end = up(side)
    side.line("cut")
    end.birth()
    side.line("ok")
    told = end.next()
    assert told.what == "heard"
