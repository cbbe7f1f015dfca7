"""Sessions and how long they last: take-over, wills, expiries, silence, and the broker's own process.

Clocks go by whole seconds, as Mosquitto's do, and strike in the second after.
"""

from __future__ import annotations

import heapq
from collections import Counter
from typing import Final

from sims.virtual.broker_routing import MAX_QUEUED, Out, Router, Rules
from sims.virtual.broker_session import Message, Session
from sims.virtual.broker_store import Store
from sims.virtual.packets import CLOSED, NEVER, Connect

S: Final = 1_000_000_000
KEEPALIVE_LOOK_S: Final = 6
"""Mosquitto looks for silent clients so often, and not in between."""


class Lifetimes:
    """What the broker does when nobody says anything."""

    def __init__(self, *, persistent: bool = False, max_queued: int = MAX_QUEUED, rules: Rules | None = None) -> None:
        self.counters: Counter[str] = Counter()
        self._rules = rules
        self._max_queued = max_queued
        self._store = Store() if persistent else None
        self._clear()

    def _clear(self) -> None:
        self._router = Router(self.counters, self._rules, self._max_queued)
        self._sessions: dict[str, Session] = {}
        self._conns: dict[int, Session] = {}
        self._due: list[tuple[int, int, Session]] = []
        self._seq = 0
        self._look_s = 0

    @property
    def connected(self) -> int:
        """Clients connected now."""
        return len(self._conns)

    @property
    def retained(self) -> dict[str, bytes]:
        """Retained payloads by topic, for looking at."""
        return {topic: message.payload for topic, message in self._router.retained.items()}

    def _displace(self, old: Session, packet: Connect, now_s: int, *, kept: bool) -> None:
        """The client id's earlier connection or session gives way (3.1.4).

        Mosquitto never publishes the will of a session that is resumed, whatever its delay, nor one whose delay was
        running; and tells the displaced connection nothing.
        """
        if packet.clean_start:
            self._forget_subs(old)
        if not kept and not old.will_at_s:
            self._send_will(old, now_s)
        old.will, old.will_at_s, old.expires_s = None, 0, 0
        if old.conn:
            self.counters["taken_over"] += 1
            self._router.out.append((old.conn, CLOSED))
            del self._conns[old.conn]
            old.conn = 0
        if not kept:
            self._drop(old)

    def _ended(self, session: Session, now_s: int) -> None:
        """The connection is gone, however; the will was taken away if it was a goodbye."""
        del self._conns[session.conn]
        session.conn = 0
        self._send_will(session, now_s)
        if session.outlives():
            session.set_expiry(now_s)
            self._wake(session.expires_s, session)
        elif not session.will_at_s:
            self._drop(session)

    # --- time

    def deadline_ns(self) -> int | None:
        """When :meth:`tick` is wanted next; None for never."""
        due_s = [self._due[0][0]] if self._due else []
        if self._look_s and self._conns:
            due_s.append(self._look_s)
        if self._store is not None and self._conns:
            due_s.append(self._store.due_s)
        return min(due_s) * S if due_s else None

    def tick(self, now_ns: int) -> Out:
        """Publish wills, forget sessions and close silent connections that are due."""
        out: Out = []
        self._router.out = out
        now_s = now_ns // S
        while self._due and self._due[0][0] <= now_s:
            session = heapq.heappop(self._due)[2]
            over = 0 < session.expires_s < now_s
            if over or 0 < session.will_at_s < now_s:
                session.will_at_s = 0
                self._send_will(session, now_s, late=True)
                if over or not session.outlives():
                    self._drop(session)
        if self._look_s and now_s >= self._look_s:
            self._look(now_s)
        if self._store is not None and now_s >= self._store.due_s:
            self._store.save(self._sessions.values(), self._router.retained, now_s)
        return out

    def _look(self, now_s: int) -> None:
        """For clients that have been silent for one and a half times their keep-alive (3.1.2.10)."""
        self._look_s = now_s - now_s % KEEPALIVE_LOOK_S + KEEPALIVE_LOOK_S
        for session in list(self._conns.values()):
            if session.keepalive_s and now_s - session.heard_s > session.keepalive_s * 3 // 2:
                self.counters["silent"] += 1
                self._router.out.append((session.conn, CLOSED))
                self._ended(session, now_s)

    # --- the process

    def stop(self, now_ns: int) -> Out:
        """SIGTERM: wills are published and, where it is persistent, everything is saved; then connections close."""
        out: Out = []
        self._router.out = out
        now_s = now_ns // S
        for session in list(self._sessions.values()):
            self._send_will(session, now_s, late=True)
        if self._store is not None:
            self._store.save(self._sessions.values(), self._router.retained, now_s)
        return out + self.kill()

    def kill(self) -> Out:
        """SIGKILL or a power cut: what was not saved is lost. :meth:`start` brings it back."""
        out: Out = [(conn, CLOSED) for conn in self._conns]
        self._clear()
        return out

    def start(self, now_ns: int) -> None:
        """Up again, with what was saved."""
        if self._store is None:
            return
        now_s = now_ns // S
        sessions, self._router.retained = self._store.load()
        for session in sessions:
            self._sessions[session.client_id] = session
            for text, sub in session.subs.items():
                self._router.topics.add(text, session.client_id, sub)
            if not session.expires_s:
                session.set_expiry(now_s)
            self._wake(session.expires_s, session)

    def _wake(self, after_s: int, session: Session) -> None:
        """Mosquitto's timers strike in the second after."""
        if after_s:
            self._seq += 1
            heapq.heappush(self._due, (after_s + 1, self._seq, session))

    def _send_will(self, session: Session, now_s: int, *, late: bool = False) -> None:
        will = session.will
        if will is None:
            return
        if will.delay_s and not late:
            session.will_at_s = NEVER if will.delay_s == NEVER else now_s + will.delay_s
            self._wake(session.will_at_s, session)
            return
        session.will = None
        self.counters["wills"] += 1
        if self._rules is not None and not self._rules.may_publish(session.client_id, will.topic):
            return
        message = Message(
            will.topic,
            will.payload,
            will.qos,
            retain=will.retain,
            source=session.client_id,
            expires_s=now_s + will.expiry_s if will.expiry_s else 0,
            props=will.props,
        )
        self._router.route(message, now_s)

    def _drop(self, session: Session) -> None:
        """Forget it, unless its client id has another meanwhile."""
        self._forget_subs(session)
        session.expiry_s = session.expires_s = session.will_at_s = 0
        session.will = None
        if self._sessions.get(session.client_id) is session:
            del self._sessions[session.client_id]

    def _forget_subs(self, session: Session) -> None:
        for text in session.subs:
            self._router.topics.remove(text, session.client_id)
        session.subs = {}
