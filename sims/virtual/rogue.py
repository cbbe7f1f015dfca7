"""Somebody on the plant's network who leaves nonsense behind as retained messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.topics import TopicKind, topic
from sims.virtual.wire import Net, WireUp

POISON: tuple[tuple[TopicKind, bytes], ...] = (
    ("desired", b"\xff\x00\xfe no JSON at all"),
    ("desired", b'{"t":"desired","ledger":7,"rev":"many","settings":[]}'),
    ("ack", b'{"t":"ack","ledger":"","log":"","upto":{"results":-1}}'),
    ("state", b'{"t":"state","status":"on fire"}'),
    ("ask", b'{"t":"ask","id":"../../etc","op":"rm"}'),
    ("desired", b'{"t":"desired","ledger":"' + b"x" * 20_000 + b'","rev":1}'),
)


class Rogue:
    """A client that connects, publishes all of it to each of these agents, and stays away."""

    def __init__(self, net: Net, site: str, agents: Sequence[str]) -> None:
        self._site, self._agents = site, agents
        self._wire = net.wire("rogue", self, 30)
        self._wire.connect((f"rogue/{site}/gone", b""), [[f"rogue/{site}/nothing"]])

    def take(self, event: Any, _t_ns: int) -> None:
        """The wire's word."""
        if not isinstance(event, WireUp):
            return
        for agent in self._agents:
            for kind, payload in POISON:
                self._wire.publish(topic(self._site, agent, kind), payload, qos=1, retain=True)
        self._wire.disconnect()
