"""Two worlds with one face for the rows of the broker matrix: Mosquitto through paho, and the broker in memory.

A row connects clients by name, does things, and looks at each one's ``log``: what it was told, in order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import NamedTuple, Protocol

from sims.virtual.broker import Broker
from sims.virtual.broker_routing import Rules
from sims.virtual.packets import (
    CLOSED,
    UNSPECIFIED,
    Closed,
    ConnAck,
    Connect,
    Disconnect,
    Filter,
    Props,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    ToBroker,
    ToClient,
    UnsubAck,
    Unsubscribe,
)

S = 1_000_000_000
GOODBYE = Disconnect()


class Seen(NamedTuple):
    """A message as a client saw it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    expiry_s: int | None
    props: Props | None


class Told(NamedTuple):
    """Anything else a client was told: ``connack`` (reason, present), ``suback``, ``unsuback``, ``puback``, ``closed``."""

    what: str
    reasons: tuple[int, ...]


Log = list[Seen | Told]


class World(Protocol):
    """What a row may do. Every call returns when all that follows from it has arrived, time-outs excepted."""

    def connect(
        self,
        name: str,
        packet: Connect | None = None,
        *,
        client_id: str = "",
        clean_start: bool = True,
        expiry_s: int = 0,
    ) -> tuple[int, bool]:
        """(reason, session present). ``packet`` for what the other arguments do not say."""
        ...

    def subscribe(self, name: str, *filters: Filter | str) -> tuple[int, ...]: ...
    def unsubscribe(self, name: str, *filters: str) -> tuple[int, ...]: ...
    def publish(self, name: str, packet: Publish) -> int:
        """The PUBACK's reason, 0 for QoS 0. ``mid`` is chosen by the client."""
        ...

    def publish_all(self, name: str, packets: list[Publish]) -> None:
        """Many at once, and look at no answer of theirs."""
        ...

    def drop(self, name: str) -> None:
        """The connection is gone without a goodbye."""
        ...

    def disconnect(self, name: str, packet: Disconnect = GOODBYE) -> None: ...
    def hold(self, name: str) -> None:
        """From now on this client acknowledges nothing by itself."""
        ...

    def ack(self, name: str) -> None:
        """Acknowledge the oldest message that was held."""
        ...

    def log(self, name: str) -> Log:
        """What was told since the last look."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass. Clients of a short keep-alive are silent meanwhile."""
        ...

    def wait_for(self, name: str, within_s: float) -> float:
        """Until this client is told something that was not looked at; how long it took. Fails after ``within_s``."""
        ...

    def end_broker(self, how: str) -> None:
        """``kill`` or ``stop``, and start it again."""
        ...


def messages(log: Log) -> list[Seen]:
    return [one for one in log if isinstance(one, Seen)]


def payloads(log: Log) -> list[bytes]:
    return [one.payload for one in messages(log)]


def as_filters(filters: tuple[Filter | str, ...]) -> tuple[Filter, ...]:
    return tuple(Filter(one) if isinstance(one, str) else one for one in filters)


class _End:
    """One client of the world in memory."""

    def __init__(self, conn: int) -> None:
        self.conn = conn
        self.mid = 0
        self.holds = False
        self.held: list[int] = []


class MemoryWorld:
    """The broker in memory; nothing takes time unless the row waits."""

    def __init__(self, *, persistent: bool = False, rules: Rules | None = None) -> None:
        self._broker = Broker(persistent=persistent, rules=rules)
        # Somewhere within a second, as real clocks are.
        self.now_ns = 1_000 * S + 300_000_000
        self._ends: dict[str, _End] = {}
        self._names: dict[int, str] = {}
        self._logs: dict[str, Log] = {}
        self._conns = 0
        self._tick()

    def connect(
        self,
        name: str,
        packet: Connect | None = None,
        *,
        client_id: str = "",
        clean_start: bool = True,
        expiry_s: int = 0,
    ) -> tuple[int, bool]:
        self._conns += 1
        self._ends[name] = _End(self._conns)
        self._names[self._conns] = name
        self._logs.setdefault(name, [])
        packet = packet or Connect(client_id or name, clean_start, 60, expiry_s)
        self._give(name, packet)
        told = next(one for one in self._logs[name] if isinstance(one, Told) and one.what == "connack")
        self._logs[name].remove(told)
        return told.reasons[0], bool(told.reasons[1])

    def subscribe(self, name: str, *filters: Filter | str) -> tuple[int, ...]:
        self._give(name, Subscribe(self._mid(name), as_filters(filters)))
        return self._answer(name, "suback")

    def unsubscribe(self, name: str, *filters: str) -> tuple[int, ...]:
        self._give(name, Unsubscribe(self._mid(name), filters))
        return self._answer(name, "unsuback")

    def publish(self, name: str, packet: Publish) -> int:
        one = Publish(
            packet.topic, packet.payload, packet.qos, packet.retain, self._mid(name) if packet.qos else 0, False,
            packet.expiry_s, packet.props,
        )  # fmt: skip
        self._give(name, one)
        return self._answer(name, "puback")[0] if packet.qos else 0

    def publish_all(self, name: str, packets: list[Publish]) -> None:
        for packet in packets:
            self.publish(name, packet)
        self._logs[name].clear()

    def drop(self, name: str) -> None:
        self._give(name, CLOSED)

    def disconnect(self, name: str, packet: Disconnect = GOODBYE) -> None:
        self._give(name, packet)
        self._logs[name] = [one for one in self._logs[name] if one != Told("closed", (UNSPECIFIED,))]

    def hold(self, name: str) -> None:
        self._ends[name].holds = True

    def ack(self, name: str) -> None:
        self._give(name, PubAck(self._ends[name].held.pop(0)))

    def log(self, name: str) -> Log:
        log, self._logs[name] = self._logs[name], []
        return log

    def wait(self, seconds: float) -> None:
        self._until(self.now_ns + int(seconds * S), lambda: False)

    def wait_for(self, name: str, within_s: float) -> float:
        began_ns = self.now_ns
        self._until(began_ns + int(within_s * S), lambda: bool(self._logs[name]))
        assert self._logs[name], f"{name} was told nothing within {within_s} s"
        return (self.now_ns - began_ns) / S

    def end_broker(self, how: str) -> None:
        self._take(self._broker.stop(self.now_ns) if how == "stop" else self._broker.kill())
        self._broker.start(self.now_ns)

    def _until(self, end_ns: int, done: Callable[[], bool]) -> None:
        while not done():
            due_ns = self._broker.deadline_ns()
            if due_ns is None or due_ns > end_ns:
                self.now_ns = end_ns
                return
            self.now_ns = max(self.now_ns, due_ns)
            self._tick()

    def _tick(self) -> None:
        self._take(self._broker.tick(self.now_ns))

    def _mid(self, name: str) -> int:
        self._ends[name].mid += 1
        return self._ends[name].mid

    def _answer(self, name: str, what: str) -> tuple[int, ...]:
        told = [one for one in self._logs[name] if isinstance(one, Told) and one.what == what]
        return told[-1].reasons if told else (UNSPECIFIED,)

    def _give(self, name: str, packet: ToBroker) -> None:
        self._take(self._broker.handle(self._ends[name].conn, packet, self.now_ns))

    def _take(self, out: list[tuple[int, ToClient]]) -> None:
        queue = [(i, conn, packet) for i, (conn, packet) in enumerate(out)]
        seq = len(queue)
        while queue:
            _, conn, packet = heapq.heappop(queue)
            name = self._names[conn]
            self._tell(name, packet)
            end = self._ends[name]
            if isinstance(packet, Publish) and packet.qos:
                if end.holds:
                    end.held.append(packet.mid)
                    continue
                for more in self._broker.handle(conn, PubAck(packet.mid), self.now_ns):
                    seq += 1
                    heapq.heappush(queue, (seq, *more))

    def _tell(self, name: str, packet: ToClient) -> None:
        log = self._logs[name]
        match packet:
            case Publish():
                log.append(
                    Seen(
                        packet.topic,
                        packet.payload,
                        packet.qos,
                        packet.retain,
                        packet.dup,
                        packet.expiry_s,
                        packet.props,
                    )
                )
            case ConnAck():
                log.append(Told("connack", (packet.reason, int(packet.session_present))))
            case PubAck():
                log.append(Told("puback", (packet.reason,)))
            case SubAck():
                log.append(Told("suback", packet.reasons))
            case UnsubAck():
                log.append(Told("unsuback", packet.reasons))
            case Disconnect():
                log.append(Told("closed", (packet.reason,)))
            case Closed():
                if not any(isinstance(one, Told) and one.what == "closed" for one in log):
                    log.append(Told("closed", (UNSPECIFIED,)))
