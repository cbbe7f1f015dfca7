"""A client's way to the broker: one link, its connections, and each connection's two directions.

Within one direction of one connection order is kept, whatever the delays: TCP does. Between connections nothing is.
A packet is looked at when it arrives: where the direction is cut then, it waits, with all behind it, until the cut is
mended, as TCP would send it again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final, Literal

from msgspec.structs import replace

from sims.virtual.net_maps import LinkMap
from sims.virtual.net_ports import Clock
from sims.virtual.packets import Handshake, Publish, ToBroker, ToClient, size_bytes

S: Final = 1_000_000_000
MS: Final = 1_000_000

Mode = Literal["ok", "cut", "deaf", "refuse", "slow"]
"""The words of ``sims/proxy.py``: ``cut`` as a pulled cable, ``deaf`` towards the client only, ``refuse`` as a closed
port, ``slow`` by a fixed delay more."""

Packet = ToBroker | ToClient | Handshake


class Link:
    """One client's cable: shared by its connections, of which it may have had many."""

    __slots__ = ("_rng", "clock", "connections", "extra_ns", "map", "mode", "name", "plain_ns")

    def __init__(self, name: str, kind: LinkMap, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.mode: Mode = "ok"
        self.extra_ns = 0
        self.connections: dict[int, Any] = {}
        self._rng: random.Random | None = None
        self.set_map(kind)

    def set_map(self, kind: LinkMap) -> None:
        """From now on the link behaves so; what is under way arrives as it was sent."""
        self.map = kind
        self.plain_ns = int(kind.delay_ms[0][1] * MS) if kind.is_plain else -1

    @property
    def rng(self) -> random.Random:
        """Made when it is first needed: a thousand perfect links draw nothing."""
        if self._rng is None:
            self._rng = self.clock.rng(f"net/{self.name}")
        return self._rng

    def delay_ns(self) -> int:
        """One packet's way, one direction, without waiting for others."""
        return self.extra_ns + (self.plain_ns if self.plain_ns >= 0 else self.map.draw_ns(self.rng))


class Half:
    """One direction of one connection. ``arrive(packet, t_ns)`` is called for what comes out at the far end."""

    __slots__ = ("_arrive", "_busy_ns", "_floor_ns", "_held", "_link", "_topics", "is_up", "open")

    def __init__(self, link: Link, arrive: Callable[[Any, int], None], *, is_up: bool) -> None:
        self.is_up = is_up
        self.open = True
        self._link = link
        self._arrive = arrive
        self._floor_ns = 0
        self._busy_ns = 0
        self._held: list[Packet] | None = None
        self._topics: dict[str, int] | None = None

    def send(self, packet: Packet) -> None:
        """Put a packet in at the near end, now."""
        link = self._link
        clock = link.clock
        now_ns = clock.now_ns
        if link.plain_ns >= 0:
            at_ns = now_ns + link.plain_ns + link.extra_ns
            if at_ns < self._floor_ns:
                at_ns = self._floor_ns
            else:
                self._floor_ns = at_ns
            clock.post(at_ns, self, packet)
            return
        self._send_roughly(packet, now_ns)

    def _send_roughly(self, packet: Packet, now_ns: int) -> None:
        link, kind = self._link, self._link.map
        begin_ns = now_ns
        if kind.bytes_per_s:
            begin_ns = max(now_ns, self._busy_ns) + int(size_bytes(packet) * S / kind.bytes_per_s)
            self._busy_ns = begin_ns
        at_ns = max(begin_ns + link.delay_ns(), self._floor_ns)
        if isinstance(packet, Publish):
            at_ns = self._order(packet, at_ns)
            link.clock.post(at_ns, self, packet)
            if kind.duplicate and packet.qos and link.rng.random() < kind.duplicate:
                link.clock.post(at_ns, self, replace(packet, dup=True))
            return
        self._floor_ns = at_ns
        if self._topics:
            at_ns = self._floor_ns = max(at_ns, *self._topics.values())
            self._topics = None
        link.clock.post(at_ns, self, packet)

    def _order(self, packet: Publish, at_ns: int) -> int:
        """When a message arrives: behind all before it, or only behind those of its topic where it may be overtaken."""
        link, kind = self._link, self._link.map
        if not kind.overtaken:
            self._floor_ns = at_ns
            return at_ns
        if self._topics is None:
            self._topics = {}
        if link.rng.random() < kind.overtaken:
            at_ns += int(link.rng.random() * kind.overtake_ms * MS)
        at_ns = self._topics[packet.topic] = max(at_ns, self._topics.get(packet.topic, 0))
        return at_ns

    def take(self, packet: Any, t_ns: int) -> None:
        """The kernel's call: a packet has reached the far end, if it can get there."""
        if not self.open:
            return
        mode = self._link.mode
        if self._held is not None or mode == "cut" or (mode == "deaf" and not self.is_up):
            self._held = [] if self._held is None else self._held
            self._held.append(packet)
            return
        self._arrive(packet, t_ns)

    def mend(self, t_ns: int) -> None:
        """The cut is over: what waited comes out, in order."""
        held, self._held = self._held, None
        for packet in held or ():
            if self.open:
                self._arrive(packet, t_ns)
