"""An MQTT 5 broker as a pure state machine: packets in, packets out, and time is a number.

::

    out = broker.handle(conn, packet, now_ns)      # [(conn, packet), …], in the order they are written
    out = broker.tick(now_ns)                      # at broker.deadline_ns(): wills, expiries, keep-alives

It keeps MQTT 5 as Mosquitto 2.0.11 does with the settings of ``edge/shell/broker.py``; ``tests/contract`` runs one
matrix of behaviours against both. Where Mosquitto differs from the specification, so does this, and the row says so.
Clocks of wills, sessions, messages and keep-alives go by whole seconds, as Mosquitto's do; a keep-alive is looked at
every 6 s. QoS 2, topic aliases, subscription identifiers and authentication exchanges are not spoken.
"""

from __future__ import annotations

from sims.virtual.broker_lifetimes import KEEPALIVE_LOOK_S, Lifetimes, S
from sims.virtual.broker_routing import Out
from sims.virtual.broker_session import Message, Session
from sims.virtual.broker_topics import Sub, filter_ok, retained_for, split_share, topic_ok
from sims.virtual.packets import (
    CLOSED,
    MALFORMED,
    NO_SUBSCRIBERS,
    NO_SUBSCRIPTION,
    NOT_AUTHORISED,
    PONG,
    PROTOCOL_ERROR,
    SUCCESS,
    WITH_WILL,
    Closed,
    ConnAck,
    Connect,
    Disconnect,
    Filter,
    PingReq,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    ToBroker,
    UnsubAck,
    Unsubscribe,
)


class Broker(Lifetimes):
    """One broker. ``persistent`` keeps a copy on disk as ``autosave_interval 1`` does; see ``broker_store``."""

    # --- what comes in

    def handle(self, conn: int, packet: ToBroker, now_ns: int) -> Out:
        """One packet of connection ``conn`` (from 1, never used twice). Packets of unknown connections are nothing."""
        out: Out = []
        self._router.out = out
        now_s = now_ns // S
        session = self._conns.get(conn)
        if session is None:
            if isinstance(packet, Connect):
                self._connect(conn, packet, now_s)
            return out
        session.heard_s = now_s
        match packet:
            case Publish():
                self._publish(session, packet, now_s)
            case PubAck():
                for held in session.acked(packet.mid):
                    self._router.write(session, held, now_s)
            case PingReq():
                out.append((conn, PONG))
            case Subscribe():
                self._subscribe(session, packet, now_s)
            case Unsubscribe():
                self._unsubscribe(session, packet)
            case Disconnect():
                self._goodbye(session, packet, now_s)
            case Closed():
                self._ended(session, now_s)
            case Connect():
                self._refuse(session, PROTOCOL_ERROR, now_s)  # 3.1: a second CONNECT
        return out

    def _connect(self, conn: int, packet: Connect, now_s: int) -> None:
        if self._rules is not None and not self._rules.may_connect(packet.client_id):
            self._router.out += [(conn, ConnAck(NOT_AUTHORISED)), (conn, CLOSED)]
            return
        old = self._sessions.get(packet.client_id)
        present = old is not None and not packet.clean_start and old.outlives()
        if old is not None:
            self._displace(old, packet, now_s, kept=present)
        session = old if old is not None and present else Session(packet.client_id)
        self._sessions[packet.client_id] = session
        session.begin(conn, packet, now_s)
        self._conns[conn] = session
        if not self._look_s:
            self._look_s = now_s - now_s % KEEPALIVE_LOOK_S + KEEPALIVE_LOOK_S
        self._router.out.append((conn, ConnAck(SUCCESS, present)))
        session.resume()
        for held in list(session.inflight.values()):
            self._router.write(session, held, now_s)

    def _publish(self, session: Session, packet: Publish, now_s: int) -> None:
        topic = packet.topic
        if not topic_ok(topic) or packet.qos > 1:
            self._refuse(session, PROTOCOL_ERROR, now_s)
            return
        if self._rules is not None and not self._rules.may_publish(session.client_id, topic):
            if packet.qos:
                self._router.out.append((session.conn, PubAck(packet.mid, NOT_AUTHORISED)))
            return
        message = Message(
            topic,
            packet.payload,
            packet.qos,
            retain=packet.retain,
            source=session.client_id,
            expires_s=now_s + packet.expiry_s if packet.expiry_s else 0,
            props=packet.props,
        )
        heard = self._router.route(message, now_s)
        if packet.qos:
            self._router.out.append((session.conn, PubAck(packet.mid, SUCCESS if heard else NO_SUBSCRIBERS)))

    def _subscribe(self, session: Session, packet: Subscribe, now_s: int) -> None:
        if not all(filter_ok(one.text) and one.qos <= 2 for one in packet.filters) or not packet.filters:
            self._refuse(session, MALFORMED, now_s)
            return
        waiting: list[tuple[Filter, Message]] = []
        for one in packet.filters:
            new = self._add(session, one)
            if one.handling == 0 or (one.handling == 1 and new):
                # Members of a group as well, which MQTT 5 forbids (4.8.2).
                bare = split_share(one.text)[1]
                waiting += [(one, message) for message in retained_for(bare, self._router.retained)]
        self._router.out.append((session.conn, SubAck(packet.mid, tuple(one.qos for one in packet.filters))))
        for one, message in waiting:
            if message.expires_s and now_s >= message.expires_s:
                self._router.retained.pop(message.topic, None)
            elif self._router.may_read(session, message):
                self._router.give(session, message, min(one.qos, message.qos), now_s, retain=True)

    def _add(self, session: Session, one: Filter) -> bool:
        """True if it is new. Of one that is there Mosquitto changes only the QoS, not the other options (3.8.3.1)."""
        old = session.subs.get(one.text)
        if old is not None:
            old.qos = one.qos
            return False
        sub = Sub(session, one.qos, no_local=one.no_local, as_published=one.as_published)
        session.subs[one.text] = sub
        self._router.topics.add(one.text, session.client_id, sub)
        return True

    def _unsubscribe(self, session: Session, packet: Unsubscribe) -> None:
        reasons = []
        for text in packet.filters:
            known = session.subs.pop(text, None)
            if known is not None:
                self._router.topics.remove(text, session.client_id)
            reasons.append(NO_SUBSCRIPTION if known is None else SUCCESS)
        self._router.out.append((session.conn, UnsubAck(packet.mid, tuple(reasons))))

    def _goodbye(self, session: Session, packet: Disconnect, now_s: int) -> None:
        if packet.expiry_s is not None:
            if packet.expiry_s and not session.expiry_s:
                self._refuse(session, PROTOCOL_ERROR, now_s)  # 3.14.2.2.2
                return
            session.expiry_s = packet.expiry_s
        if packet.reason != WITH_WILL:
            session.will = None
        self._router.out.append((session.conn, CLOSED))
        self._ended(session, now_s)

    def _refuse(self, session: Session, reason: int, now_s: int) -> None:
        self.counters["refused"] += 1
        self._router.out += [(session.conn, Disconnect(reason)), (session.conn, CLOSED)]
        self._ended(session, now_s)
