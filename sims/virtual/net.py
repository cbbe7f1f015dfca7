"""The network between clients and one broker, with everything that can go wrong on it.

::

    node ─▶ NetWire (what paho is) ─▶ Half "up" ─▶ Broker ─▶ Half "down" ─▶ NetWire ─▶ node
                                        └── one Link a client: delay, loss, speed, cuts ──┘

What may be reordered: nothing within one direction of one connection, as TCP keeps it (but see ``overtaken`` in
:class:`LinkMap`); everything else, so messages of different clients, and what a client sent on an earlier connection
against what it sends on a new one. What is lost: all that was under way when a connection breaks. What is doubled:
what a client or the broker sends again because its acknowledgement was lost, and ``duplicate`` in :class:`LinkMap`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, Literal, Protocol

from sims.virtual.broker import Broker
from sims.virtual.broker_routing import Out
from sims.virtual.net_link import MS, Half, Link, Mode
from sims.virtual.net_maps import PERFECT, LinkMap
from sims.virtual.net_ports import Clock
from sims.virtual.net_wire import CONNECT_TIMEOUT_S, INFLIGHT, NetWire
from sims.virtual.packets import CLOSED, REFUSED, SYN, SYNACK, Closed, Disconnect, PubAck, Publish

__all__ = ["Ending", "Net", "Node"]

Ending = Literal["stop", "kill", "vanish"]
"""Of a broker: SIGTERM; SIGKILL; its machine without power, so that no connection is told."""

_TICK: Final = "tick"
_MEND: Final = "mend"


class Node(Protocol):
    """Who owns a client: told WireUp, WireDown and Arrived."""

    def take(self, event: Any, t_ns: int, /) -> None: ...


class Connection:
    """One TCP connection; ``conn`` numbers them for the broker."""

    __slots__ = ("_net", "conn", "down", "established", "link", "up", "wire")

    def __init__(self, net: Net, conn: int, link: Link, wire: NetWire) -> None:
        self.conn = conn
        self.link = link
        self.wire = wire
        self.established = False
        self._net = net
        self.up = Half(link, self._at_broker, is_up=True)
        self.down = Half(link, self._at_client, is_up=False)

    def dial(self) -> None:
        """The handshake: one round trip before the first packet."""
        self.up.send(SYN)

    def hang_up(self) -> None:
        """The client closes: the broker hears of it behind all that was sent, if the connection ever stood."""
        if self.established and self.up.open:
            self.down.open = False
            self.up.send(CLOSED)
        else:
            self.vanish()

    def vanish(self) -> None:
        """The client's end is gone: nothing is heard or said any more."""
        self.down.open = self.up.open = False
        self.link.connections.pop(self.conn, None)

    def _at_broker(self, packet: Any, t_ns: int) -> None:
        net = self._net
        if net.is_gone:
            return
        if packet is SYN:
            self.down.send(REFUSED if net.refuses(self.link) else SYNACK)
            return
        net.to_broker(self, packet, t_ns)

    def _at_client(self, packet: Any, t_ns: int) -> None:
        if packet is SYNACK:
            self.established = True
            self._net.accept(self)
        elif isinstance(packet, Closed):
            self.vanish()
        self.wire.arrived(self, packet, t_ns)

    def take(self, _event: object, t_ns: int) -> None:
        """The kernel's call: the connection's life is over (``breaks_per_hour``)."""
        self._net.break_connection(self, t_ns)


class Net:
    """One broker and everybody's link to it. ``kind`` is the map of links that are not given one of their own.

    Everything happens at ``clock.now_ns``; methods may be called between events. Unknown names make new links.
    """

    def __init__(self, clock: Clock, broker: Broker | None = None, kind: LinkMap = PERFECT) -> None:
        self.broker = Broker() if broker is None else broker
        self.clock = clock
        self.counters: Counter[str] = Counter()
        self.is_down = False
        self.is_gone = False
        self._kind = kind
        self._links: dict[str, Link] = {}
        self._conns: dict[int, Connection] = {}
        self._last_conn = 0
        self._wake_ns: int | None = None

    def wire(
        self,
        client_id: str,
        node: Node,
        keepalive_s: int,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        inflight: int = INFLIGHT,
        tells_goodbye: bool = False,
    ) -> NetWire:
        """A client that is not connected yet; its link is called as it is. See :class:`NetWire` for the rest."""
        return NetWire(
            self,
            client_id,
            node,
            keepalive_s,
            connect_timeout_s=connect_timeout_s,
            inflight=inflight,
            tells_goodbye=tells_goodbye,
        )

    def dial(self, wire: NetWire) -> Connection:
        """A connection that is being made."""
        self._last_conn += 1
        link = self.link(wire.client_id)
        connection = link.connections[self._last_conn] = Connection(self, self._last_conn, link, wire)
        connection.dial()
        return connection

    def link(self, name: str) -> Link:
        """The link of a client."""
        link = self._links.get(name)
        if link is None:
            link = self._links[name] = Link(name, self._kind, self.clock)
        return link

    # --- what goes wrong

    def set_map(self, names: Iterable[str], kind: LinkMap) -> None:
        """From now on these links behave so."""
        for name in names:
            self.link(name).set_map(kind)

    def set_mode(self, names: Iterable[str], mode: Mode, delay_s: float = 0.0) -> None:
        """Cut, deafen, refuse or slow these links, or mend them (``ok``).

        What waited in a cut arrives at once when it is mended, as over a relay; with ``rto_ms`` of a map that loses
        packets, when TCP tries again.
        """
        for name in names:
            link = self.link(name)
            link.mode = mode
            link.extra_ns = int(delay_s * 1000 * MS) if mode == "slow" else 0
            if mode == "refuse":
                self.break_links([name])
            if mode not in {"cut", "deaf"}:
                wait_ns = int(link.map.rto_ms * MS) if link.map.loss else 0
                self.clock.post(self.clock.now_ns + wait_ns, self, (_MEND, link))

    def break_links(self, names: Iterable[str]) -> None:
        """Reset the connections there are; both ends hear of it at once, what was under way is lost."""
        for name in names:
            for connection in list(self.link(name).connections.values()):
                self.break_connection(connection, self.clock.now_ns)

    def stop_broker(self, how: Ending = "kill") -> None:
        """The broker goes; see :data:`Ending`. Nothing if it is gone already."""
        if self.is_down:
            return
        self.is_down, self.is_gone = True, how == "vanish"
        self.counters["broker_ends"] += 1
        out = self.broker.stop(self.clock.now_ns) if how == "stop" else self.broker.kill()
        if how == "vanish":
            self._conns.clear()
        else:
            self.emit(out)

    def start_broker(self) -> None:
        """It is back, with what it had saved."""
        if self.is_down:
            self.is_down = self.is_gone = False
            self.broker.start(self.clock.now_ns)
            self._arm()

    def set_down(self, *, down: bool) -> None:
        """Kill the broker, or start it again."""
        if down:
            self.stop_broker()
        else:
            self.start_broker()

    def part(self, names: Iterable[str], *, parted: bool) -> None:
        """Cut these off from everybody else, who all go by way of the broker; or mend it."""
        self.set_mode(names, "cut" if parted else "ok")

    # --- what goes on

    def refuses(self, link: Link) -> bool:
        """Whether a new connection is turned away."""
        return self.is_down or link.mode == "refuse"

    def accept(self, connection: Connection) -> None:
        """The connection stands at both ends."""
        self._conns[connection.conn] = connection
        life_ns = connection.link.map.life_ns(connection.link.rng) if connection.link.map.breaks_per_hour else None
        if life_ns is not None:
            self.clock.post(self.clock.now_ns + life_ns, connection, None)

    def to_broker(self, connection: Connection, packet: Any, t_ns: int) -> None:
        """A packet has arrived there."""
        if connection.conn not in self._conns:
            if isinstance(packet, Closed):
                connection.vanish()
            else:
                connection.down.send(CLOSED)  # RST: that side knows nothing of the connection
            return
        self.emit(self.broker.handle(connection.conn, packet, t_ns))
        if isinstance(packet, Publish | PubAck):
            return
        if isinstance(packet, Closed | Disconnect):
            self._conns.pop(connection.conn, None)
            if isinstance(packet, Closed):
                connection.vanish()
        self._arm()

    def emit(self, out: Out) -> None:
        """What the broker writes."""
        conns = self._conns
        for conn, packet in out:
            connection = conns.get(conn)
            if connection is not None:
                connection.down.send(packet)
                if packet is CLOSED:
                    del conns[conn]

    def break_connection(self, connection: Connection, t_ns: int) -> None:
        """Reset one, if it still stands."""
        if self._conns.pop(connection.conn, None) is None:
            return
        self.counters["broken"] += 1
        heard = connection.down.open
        connection.vanish()
        self.emit(self.broker.handle(connection.conn, CLOSED, t_ns))
        if heard:
            connection.wire.arrived(connection, CLOSED, t_ns)
        self._arm()

    def take(self, event: Any, t_ns: int) -> None:
        """The kernel's call: the broker's time has come, or a cut is over."""
        if event is _TICK:
            if self._wake_ns is not None and t_ns >= self._wake_ns:
                self._wake_ns = None
            if not self.is_down:
                self.emit(self.broker.tick(t_ns))
                self._arm()
            return
        _, link = event
        for connection in list(link.connections.values()):
            if link.mode != "cut":
                connection.up.mend(t_ns)
            if link.mode not in {"cut", "deaf"}:
                connection.down.mend(t_ns)

    def _arm(self) -> None:
        due_ns = None if self.is_down else self.broker.deadline_ns()
        if due_ns is not None and (self._wake_ns is None or due_ns < self._wake_ns):
            self._wake_ns = due_ns
            self.clock.post(due_ns, self, _TICK)
