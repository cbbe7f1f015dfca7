"""The broker's switch: a message goes to everybody who subscribed, as fast as each window allows."""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

from sims.virtual.broker_session import OVERHEAD_BYTES, Held, Message, Session
from sims.virtual.broker_topics import Leaf, Sub, Topics
from sims.virtual.packets import Publish, ToClient, size_bytes

MAX_QUEUED: Final = 1_000_000
"""``max_queued_messages`` as we set it."""

Out = list[tuple[int, ToClient]]


class Rules(Protocol):
    """Access rules. A refused read is silent, a refused publish has a reason, as with Mosquitto's ``acl_file``."""

    def may_connect(self, client_id: str) -> bool: ...
    def may_publish(self, client_id: str, topic: str) -> bool: ...
    def may_read(self, client_id: str, topic: str) -> bool: ...


class Router:
    """Subscriptions, retained messages, and what is on its way. ``out`` is what the current call writes."""

    def __init__(self, counters: Counter[str], rules: Rules | None, max_queued: int) -> None:
        self.counters = counters
        self.rules = rules
        self._max_queued = max_queued
        self.topics = Topics()
        self.retained: dict[str, Message] = {}
        self.out: Out = []

    def route(self, message: Message, now_s: int) -> bool:
        """To everybody who subscribed; True if anybody did."""
        if message.retain:
            if message.payload:
                self.retained[message.topic] = message
            else:
                self.retained.pop(message.topic, None)
        leaves = self.topics.leaves(message.topic)
        for leaf in leaves:
            if leaf.groups:
                self._take_turns(leaf, message, now_s)
            for sub in leaf.plain.values():
                if not (sub.no_local and sub.session.client_id == message.source):
                    self._deliver(sub, message, now_s)
        return bool(leaves)

    def _take_turns(self, leaf: Leaf, message: Message, now_s: int) -> None:
        """One member of each group, connected or not; it goes to the end of the row (4.8.2 leaves the choice to us)."""
        assert leaf.groups is not None
        for members in leaf.groups.values():
            client_id, sub = next(iter(members.items()))
            del members[client_id]
            members[client_id] = sub
            self._deliver(sub, message, now_s)

    def _deliver(self, sub: Sub, message: Message, now_s: int) -> None:
        session: Session = sub.session
        if self.may_read(session, message):
            qos = min(sub.qos, message.qos)
            self.give(session, message, qos, now_s, retain=message.retain and sub.as_published)

    def may_read(self, session: Session, message: Message) -> bool:
        return self.rules is None or self.rules.may_read(session.client_id, message.topic)

    def give(self, session: Session, message: Message, qos: int, now_s: int, *, retain: bool) -> None:
        held = Held(message, retain=retain)
        if qos == 0:
            if session.conn:
                self.write(session, held, now_s)
        elif session.is_open and not session.queue:
            session.launch(held)
            self.write(session, held, now_s)
        elif session.queue is None or len(session.queue) < self._max_queued:
            session.enqueue(held)
            while session.queue and session.is_open:  # places that expired messages gave back
                waiting = session.queue.popleft()
                session.launch(waiting)
                self.write(session, waiting, now_s)
        else:
            self.counters["queue_full"] += 1

    def write(self, session: Session, held: Held, now_s: int) -> None:
        message = held.message
        expiry_s = None
        if message.expires_s:
            if now_s > message.expires_s:
                self.counters["expired"] += 1
                if session.inflight.pop(held.mid, None) is not None and 0 <= session.quota < session.window:
                    session.quota += 1
                return
            # In its last second Mosquitto sends it without any expiry.
            expiry_s = message.expires_s - now_s or None
        qos = 1 if held.mid else 0
        packet = Publish(message.topic, message.payload, qos, held.retain, held.mid, held.sent, expiry_s, message.props)
        if session.max_bytes and not _fits(packet, session.max_bytes):
            # 3.1.2.11.4: it counts as delivered. Mosquitto does not give the place in the window back.
            self.counters["too_large"] += 1
            session.inflight.pop(held.mid, None)
            return
        held.sent = True
        self.out.append((session.conn, packet))


def _fits(packet: Publish, most: int) -> bool:
    """Almost always decided without counting the bytes. Mosquitto does not count the first one."""
    if packet.props is None and 4 * len(packet.topic) + len(packet.payload) + OVERHEAD_BYTES <= most:
        return True
    return size_bytes(packet) - 1 <= most
