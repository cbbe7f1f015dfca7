"""Clients on a simulated net, and what they were told."""

from __future__ import annotations

from typing import Any, NamedTuple

from sims.virtual.broker import Broker
from sims.virtual.kernel import NS, Kernel
from sims.virtual.net import Net
from sims.virtual.net_maps import PERFECT, LinkMap
from sims.virtual.wire import Arrived, WireDown, WireUp


class At(NamedTuple):
    """One event and when it came, in seconds."""

    t_s: float
    event: Any


class Client:
    """A node with one wire, that keeps what it is told. ``again_s``: it dials again so long after it went down."""

    def __init__(self, rig: Rig, name: str, filters: list[list[str]], keepalive_s: int, again_s: float | None) -> None:
        self.rig = rig
        self.name = name
        self.filters = filters
        self.again_s = again_s
        self.told: list[At] = []
        self.wire = rig.net.wire(name, self, keepalive_s)

    def dial(self) -> None:
        self.wire.connect((f"will/{self.name}", self.name.encode()), self.filters)

    def say(self, topic: str, payload: bytes = b"x", qos: int = 1, *, retain: bool = False) -> bool:
        return self.wire.publish(topic, payload, qos=qos, retain=retain)

    def take(self, event: Any, t_ns: int) -> None:
        if event == "dial":
            self.dial()
            return
        self.told.append(At(t_ns / NS, event))
        if isinstance(event, WireDown) and self.again_s is not None:
            self.rig.kernel.post(t_ns + int(self.again_s * NS), self, "dial")

    def heard(self) -> list[bytes]:
        return [one.event.payload for one in self.told if isinstance(one.event, Arrived)]

    def downs(self) -> list[tuple[float, str]]:
        return [(one.t_s, one.event.code) for one in self.told if isinstance(one.event, WireDown)]

    def ups(self) -> list[float]:
        return [one.t_s for one in self.told if isinstance(one.event, WireUp)]


class Rig:
    """A kernel, a net, and time that is advanced by the test."""

    def __init__(self, kind: LinkMap = PERFECT, seed: int = 1, *, persistent: bool = False) -> None:
        self.kernel = Kernel(seed)
        self.net = Net(self.kernel, Broker(persistent=persistent), kind)

    def client(self, name: str, *groups: list[str], keepalive_s: int = 5, again_s: float | None = None) -> Client:
        """A client that dials now."""
        client = Client(self, name, list(groups), keepalive_s, again_s)
        client.dial()
        return client

    def run(self, seconds: float) -> None:
        self.kernel.run(self.kernel.now_ns + int(seconds * NS))

    @property
    def now_s(self) -> float:
        return self.kernel.now_ns / NS


def two(rig: Rig) -> tuple[Client, Client]:
    """``a`` publishes, ``b`` subscribes to everything."""
    a, b = rig.client("a"), rig.client("b", ["#"])
    rig.run(1)
    assert a.ups() and b.ups()
    b.told.clear()
    return a, b
