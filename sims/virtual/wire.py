"""The narrow door between a node and the net: what paho is to a daemon, with time as an argument of nobody.

A wire is one client. It is told to connect, publish and leave; what comes back is posted to its node as an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sims.virtual.kernel import Node


class WireUp(NamedTuple):
    """The broker took us in and every subscription stands. ``wire_no`` counts this client's attempts."""

    wire_no: int


class WireDown(NamedTuple):
    """No connection: it ended, or the attempt failed."""

    wire_no: int
    code: str
    what: str


class Arrived(NamedTuple):
    """One message for us. ``expiry_s`` is what the broker says is left of its life."""

    wire_no: int
    topic: str
    payload: bytes
    retained: bool = False
    expiry_s: int | None = None


class Wire(Protocol):
    """One client's way to the broker. A new attempt ends an old connection."""

    def connect(self, will: tuple[str, bytes], filters: Sequence[Sequence[str]]) -> int:
        """Try once: CONNECT (clean start, expiry 0, the will retained with QoS 1), then one SUBSCRIBE with QoS 1 for each
        group of filters, each after the last was answered. Returns ``wire_no`` of what follows.
        """
        ...

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None = None) -> bool:
        """Hand over one message. False where there is no connection."""
        ...

    def disconnect(self) -> None:
        """Leave in good order, after what was handed over: no will."""

    def cut(self) -> None:
        """The process is gone and its socket closed: the broker publishes the will."""

    def vanish(self) -> None:
        """The machine is gone without a word: the broker notices when the keep-alive is over."""


class Net(Protocol):
    """The broker with the network around it."""

    def wire(self, client_id: str, node: Node, keepalive_s: int, *, tells_goodbye: bool = False) -> Wire:
        """A client that is not connected yet. ``tells_goodbye``: WireDown comes after a :meth:`Wire.disconnect`, too."""
        ...
