"""A client of the broker, as paho is one for the daemon: it says what paho says, when paho says it.

::

    idle ──connect──▶ dialing ──CONNACK, SUBACKs──▶ up ──disconnect──▶ leaving ──all acknowledged, or 2 s──▶ idle
      ▲                  └──── refused, time-out, lost ────┴──────────────────────────────────────────────────┘

Each attempt is a client of its own, as in ``edge/shell/mqtt.py``: nothing is kept from the one before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Literal

from edge.topics import MAX_PACKET_BYTES, WINDOW_RECORDS
from sims.virtual.net_ports import Way, Wires
from sims.virtual.packets import (
    MAX_MID,
    NOT_AUTHORISED,
    PING,
    SYNACK,
    TAKEN_OVER,
    WITH_WILL,
    Closed,
    ConnAck,
    Connect,
    Disconnect,
    Filter,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    Will,
)
from sims.virtual.wire import Arrived, WireDown, WireUp

S: Final = 1_000_000_000
CONNECT_TIMEOUT_S: Final = 5.0
LINGER_S: Final = 2.0
INFLIGHT: Final = 4 * WINDOW_RECORDS
MAX_WAITING: Final = 65_535
"""paho holds no more; then it refuses."""

Step = Literal["idle", "dialing", "up", "leaving"]


class NetWire:
    """One client. ``inflight`` messages of QoS 1 are sent and not acknowledged at most, the others wait here.

    ``tells_goodbye``: WireDown comes after :meth:`disconnect` as well (paho calls back for it; the agent's link passes
    it on, the coordinator's does not).
    """

    __slots__ = (
        "_filters", "_heard_ns", "_inflight", "_keepalive_ns", "_last_mid", "_most", "_net", "_node", "_ping", "_said_ns",
        "_step", "_tells_goodbye", "_timeout_ns", "_timer_ns", "_unacked", "_waiting", "_way", "_will", "client_id",
        "wire_no",
    )  # fmt: skip

    def __init__(
        self,
        net: Wires,
        client_id: str,
        node: Any,
        keepalive_s: int,
        *,
        connect_timeout_s: float,
        inflight: int,
        tells_goodbye: bool,
    ) -> None:
        self.client_id = client_id
        self.wire_no = 0
        self._net = net
        self._node = node
        self._keepalive_ns = keepalive_s * S
        self._timeout_ns = int(connect_timeout_s * S)
        self._most = inflight
        self._tells_goodbye = tells_goodbye
        self._way: Way | None = None
        self._step: Step = "idle"
        self._will = ("", b"")
        self._filters: Sequence[Sequence[str]] = ()
        self._reset()

    def _reset(self) -> None:
        self._last_mid = 0
        self._unacked: dict[int, None] = {}
        self._waiting: deque[Publish] | None = None
        self._heard_ns = self._said_ns = 0
        self._ping = False
        self._timer_ns = -1

    # --- what the node does

    def connect(self, will: tuple[str, bytes], filters: Sequence[Sequence[str]]) -> int:
        """See :meth:`sims.virtual.wire.Wire.connect`. An old connection ends with a word that its will be published."""
        self._leave(Disconnect(WITH_WILL))
        self.wire_no += 1
        self._reset()
        self._will, self._filters, self._step = will, filters, "dialing"
        self._way = self._net.dial(self)
        self._arm(self._net.clock.now_ns + self._timeout_ns)
        return self.wire_no

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None = None) -> bool:
        """Hand over one message; False where there is no connection, or 65,535 wait already."""
        if self._step != "up":
            return False
        if qos == 0:
            self._say(Publish(topic, payload, 0, retain, 0, False, expiry_s))
            return True
        packet = Publish(topic, payload, 1, retain, self._next_mid(), False, expiry_s)
        if len(self._unacked) < self._most:
            self._unacked[packet.mid] = None
            self._say(packet)
            return True
        if self._waiting is None:
            self._waiting = deque()
        if len(self._waiting) + len(self._unacked) >= MAX_WAITING:
            return False
        self._waiting.append(packet)
        return True

    def disconnect(self) -> None:
        """Leave in good order: what was handed over is acknowledged first, as far as two seconds allow; no will."""
        if self._step != "up":
            self._leave(Disconnect())
            return
        self._step = "leaving"
        if self._unacked:
            self._arm(self._net.clock.now_ns + int(LINGER_S * S))
        else:
            self._farewell()

    def cut(self) -> None:
        """The process is gone and its socket closed: the broker hears of it and publishes the will."""
        self._leave(None)

    def vanish(self) -> None:
        """The machine is gone without a word."""
        way, self._way, self._step = self._way, None, "idle"
        if way is not None:
            way.vanish()

    # --- what the net does

    def arrived(self, way: Way, packet: Any, t_ns: int) -> None:
        """A packet, or what the connection itself has to say."""
        if way is not self._way:
            return
        self._heard_ns = t_ns
        match packet:
            case Publish():
                if packet.qos:
                    self._say(PubAck(packet.mid))
                event = Arrived(self.wire_no, packet.topic, packet.payload, packet.retain, packet.expiry_s)
                self._node.take(event, t_ns)
            case PubAck():
                self._acked(packet, t_ns)
            case PingResp():
                self._ping = False
            case ConnAck():
                self._connack(packet, t_ns)
            case SubAck():
                self._suback(packet, t_ns)
            case Disconnect():
                code = "LINK_TAKEN_OVER" if packet.reason == TAKEN_OVER else "LINK_LOST"
                self._down(code, f"the connection ended: reason 0x{packet.reason:02X}", t_ns)
            case Closed():
                self._closed(packet, t_ns)
            case _ if packet is SYNACK:
                self._hello(t_ns)

    def _hello(self, t_ns: int) -> None:
        topic, payload = self._will
        will = Will(topic, payload, 1, retain=True)
        keepalive_s = self._keepalive_ns // S
        self._said_ns = t_ns
        self._say(Connect(self.client_id, keepalive_s=keepalive_s, max_packet_bytes=MAX_PACKET_BYTES, will=will))

    def _connack(self, packet: ConnAck, t_ns: int) -> None:
        if packet.reason:
            code = "LINK_NOT_AUTHORISED" if packet.reason == NOT_AUTHORISED else "LINK_REFUSED"
            self._down(code, f"the broker refuses us: reason 0x{packet.reason:02X}", t_ns)
            return
        self._subscribe_next(t_ns)

    def _suback(self, packet: SubAck, t_ns: int) -> None:
        if any(reason >= 0x80 for reason in packet.reasons):
            self._down("LINK_NOT_AUTHORISED", "the broker refuses our own topics", t_ns)
            return
        self._subscribe_next(t_ns)

    def _subscribe_next(self, t_ns: int) -> None:
        if self._filters:
            group, self._filters = self._filters[0], self._filters[1:]
            self._say(Subscribe(self._next_mid(), tuple(Filter(text) for text in group)))
            return
        self._step = "up"
        self._watch(t_ns)
        self._node.take(WireUp(self.wire_no), t_ns)

    def _acked(self, packet: PubAck, t_ns: int) -> None:
        self._unacked.pop(packet.mid, None)
        while self._waiting and len(self._unacked) < self._most:
            waiting = self._waiting.popleft()
            self._unacked[waiting.mid] = None
            self._say(waiting)
        if self._step == "leaving" and not self._unacked:
            self._farewell()
        del t_ns

    def _closed(self, packet: Closed, t_ns: int) -> None:
        if packet.refused:
            self._down("LINK_REFUSED", "nothing listens at the broker's port", t_ns)
        else:
            self._down("LINK_LOST", "the connection ended: Unspecified error", t_ns)

    # --- time

    def take(self, event: int, t_ns: int) -> None:
        """The kernel's call: a time that was set for attempt ``event`` has come."""
        if event != self.wire_no or t_ns != self._timer_ns:
            return
        match self._step:
            case "dialing":
                self._down("LINK_TIMEOUT", f"the broker did not answer within {self._timeout_ns / S:g} s", t_ns)
            case "leaving":
                self._farewell()
            case "up":
                self._watch(t_ns)
            case "idle":
                pass

    def _watch(self, t_ns: int) -> None:
        """Keep-alive as paho keeps it: a ping when either way was silent so long, the end when there was no answer.

        paho looks about once a second, this at the very moment.
        """
        if not self._keepalive_ns:
            return
        if t_ns - min(self._said_ns, self._heard_ns) >= self._keepalive_ns:
            if self._ping:
                self._down("LINK_LOST", "the connection ended: Keep alive timeout", t_ns)
                return
            self._ping = True
            self._say(PING)
            self._heard_ns = t_ns
        self._arm(min(self._said_ns, self._heard_ns) + self._keepalive_ns)

    def _arm(self, t_ns: int) -> None:
        self._timer_ns = t_ns
        self._net.clock.post(t_ns, self, self.wire_no)

    def _say(self, packet: Any) -> None:
        assert self._way is not None
        self._said_ns = self._net.clock.now_ns
        self._way.up.send(packet)

    def _next_mid(self) -> int:
        mid = self._last_mid % MAX_MID + 1
        while mid in self._unacked:
            mid = mid % MAX_MID + 1
        self._last_mid = mid
        return mid

    def _farewell(self) -> None:
        self._leave(Disconnect())
        if self._tells_goodbye:
            gone = WireDown(self.wire_no, "LINK_LOST", "the connection ended: Normal disconnection")
            self._net.clock.post(self._net.clock.now_ns, self._node, gone)

    def _leave(self, word: Disconnect | None) -> None:
        way, self._way, self._step = self._way, None, "idle"
        if way is not None:
            if word is not None:
                way.up.send(word)
            way.hang_up()

    def _down(self, code: str, what: str, t_ns: int) -> None:
        told = self._step != "leaving" or self._tells_goodbye
        self._leave(None)
        if told:
            self._node.take(WireDown(self.wire_no, code, what), t_ns)
