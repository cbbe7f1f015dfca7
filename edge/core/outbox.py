"""What is sent when: windows, acknowledgements, going back, and setting aside what breaks the connection.

Each kind is one stream::

    freed ……… acked | sent, not acked (window) | committed, not sent | appended, not durable
                    └ acked+1                  └ next              └ committed+1

Only ``Ack`` moves ``acked``; a broker's own acknowledgement means nothing here. Nothing is retried anywhere else.
"""

from __future__ import annotations

from collections import deque

from edge.core.scribe import Scribe
from edge.core.settings import S
from edge.domain import KINDS, Kind, SeqRange
from edge.events import AgentEffect, Committed, Free, Send, Sent
from edge.messages import Ack
from edge.ports import Heads
from edge.topics import WINDOW_BYTES, WINDOW_RECORDS

ACK_TIMEOUT_NS = 5 * S
ACK_TIMEOUT_MOST_NS = 60 * S
SUSPICION_NS = 2 * S
"""A connection that ends this soon after a record was handed over throws suspicion on that record."""
SUSPICIONS = 3
BATCH_RECORDS = 64
EVIDENCE_LEAST_BYTES = 16 * 1024
EVIDENCE_FIRST_BYTES = 128 * 1024
EVIDENCE_WAIT_NS = 2 * S
"""Pictures under way delay a result by no more than about this: on a link where they take longer, fewer are sent at once."""


class Stream:
    """One kind's place."""

    def __init__(self, kind: Kind, heads: Heads) -> None:
        self.kind = kind
        self.committed = heads.last
        self.first = heads.first
        self.acked = max(heads.acked, heads.first - 1)
        self.next = self.acked + 1
        self.asked: int | None = None
        self.flight: deque[tuple[int, int, int]] = deque()  # (last seq, bytes, when) of each batch handed over
        self.most_bytes = EVIDENCE_FIRST_BYTES if kind == "evidence" else WINDOW_BYTES
        self.progress_ns = 0
        self.timeout_ns = ACK_TIMEOUT_NS
        self.suspicions = 0
        self.suspect = 0
        self.explained = False
        self.let_go = 0
        """Up to here a ledger before had acknowledged, so the journal may let it go at any time: a batch that begins later
        than asked shows what a new ledger will not get."""
        self.told = 0
        """Up to here that was said of it."""
        self.upto = self.acked
        """What the ledger in use acknowledged last; it may stand before what is held, until a gap reaches it."""
        self.passed = 0
        """Sent beyond the window, as the gap that the ledger waits for is further on in this very stream."""

    @property
    def pending(self) -> bool:
        return self.next <= self.committed

    @property
    def in_flight(self) -> int:
        return self.next - 1 - max(self.acked, self.passed)

    @property
    def backlog(self) -> int:
        return self.committed - self.acked

    @property
    def waits_for_gap(self) -> bool:
        """Whether acknowledgements cannot come before the ledger has a gap of ours, which is sent like any event."""
        return self.kind == "events" and self.upto < max(self.acked, self.let_go) and self.pending

    def rewind(self) -> None:
        self.passed = 0
        self.next = self.acked + 1
        self.asked = None
        self.flight.clear()

    def window(self) -> tuple[int, int]:
        """Records and bytes that may still be handed over; after a suspicion, one record at a time."""
        most = 1 if self.suspicions >= SUSPICIONS - 1 else WINDOW_RECORDS
        used = sum(size for _, size, _ in self.flight)
        return most - self.in_flight, self.most_bytes - used

    def landed(self, upto: int, now_ns: int) -> None:
        """Batches were acknowledged. How long the last of them took says how many pictures the link can bear at once."""
        used, since_ns = sum(size for _, size, _ in self.flight), None
        while self.flight and self.flight[0][0] <= upto:
            since_ns = self.flight.popleft()[2]
        if self.kind == "evidence" and since_ns is not None:
            most = self.most_bytes * EVIDENCE_WAIT_NS // max(1, now_ns - since_ns)
            # what was never under way proves nothing about the link
            upper = min(WINDOW_BYTES, max(2 * used, EVIDENCE_FIRST_BYTES))
            self.most_bytes = max(EVIDENCE_LEAST_BYTES, min(upper, most))


class Outbox:
    """All streams of one agent."""

    def __init__(self, log: str, heads: dict[Kind, Heads], scribe: Scribe, ledger: str) -> None:
        self._log = log
        self._scribe = scribe
        self._streams = {kind: Stream(kind, heads[kind]) for kind in KINDS}
        self._connected = False
        self._sent_ns = 0
        self.ledger = ledger

    def backlog(self) -> dict[Kind, int]:
        """Committed records the coordinator has not acknowledged."""
        return {kind: stream.backlog for kind, stream in self._streams.items()}

    def connected(self, now_ns: int) -> list[AgentEffect]:
        """A new connection starts from what is not acknowledged."""
        self._connected = True
        for stream in self._streams.values():
            stream.rewind()
            stream.progress_ns = now_ns
            stream.timeout_ns = ACK_TIMEOUT_NS
        return self.pump()

    def disconnected(self, now_ns: int) -> list[AgentEffect]:
        """Note which record may have broken the connection; at the third time set it aside."""
        effects: list[AgentEffect] = []
        was, self._connected = self._connected, False
        soon = now_ns - self._sent_ns < SUSPICION_NS
        for stream in self._streams.values():
            if was and soon and stream.in_flight > 0:
                effects += self._suspect(stream, now_ns)
            stream.rewind()
        return effects

    def committed(self, event: Committed) -> list[AgentEffect]:
        stream = self._streams[event.kind]
        stream.committed = max(stream.committed, event.upto)
        return self.pump()

    def sent(self, event: Sent, now_ns: int) -> list[AgentEffect]:
        """The shell handed records over; an empty answer means that what was asked for is no longer held."""
        stream = self._streams[event.kind]
        asked, stream.asked = stream.asked, None
        if asked is None or not self._connected or asked != stream.next:
            return []  # from before a reconnect
        effects: list[AgentEffect] = []
        nothing = event.last < event.first
        if asked <= stream.let_go:
            missing = SeqRange(max(asked, stream.told + 1), stream.committed if nothing else event.first - 1)
            if missing.first <= missing.last:
                stream.told = missing.last
                effects.append(self._scribe.gap(now_ns, event.kind, missing, "acknowledged to a ledger before"))
        if nothing:
            stream.next = stream.committed + 1
        else:
            if stream.in_flight == 0:
                stream.progress_ns = now_ns
            stream.next = max(stream.next, event.last + 1)
            stream.flight.append((event.last, event.bytes, now_ns))
            self._sent_ns = now_ns
            self._scribe.count(f"sent_{event.kind}", event.last - event.first + 1)
        return effects + self.pump()

    def acknowledged(self, ack: Ack, now_ns: int) -> list[AgentEffect]:
        """The coordinator's word. A ledger never heard of gets everything that is still held."""
        effects: list[AgentEffect] = []
        if ack.log != self._log:
            return effects
        if ack.ledger != self.ledger:
            effects += self._new_ledger(ack.ledger, now_ns)
        for kind, upto in ack.upto.items():
            stream = self._streams[kind]
            stream.upto = upto
            if upto < stream.first - 1 and not stream.explained:
                # The journal lost its index and with it what it once explained: say it again, or upto never moves.
                stream.explained = True
                missing = SeqRange(upto + 1, stream.first - 1)
                effects.append(self._scribe.gap(now_ns, kind, missing, "no longer held"))
            if stream.acked < upto <= stream.committed:
                stream.acked = upto
                stream.next = max(stream.next, upto + 1)
                stream.progress_ns = now_ns
                stream.timeout_ns = ACK_TIMEOUT_NS
                stream.suspicions = 0
                stream.landed(upto, now_ns)
                effects.append(Free(kind, upto))
        return effects + self.pump()

    def tick(self, now_ns: int) -> list[AgentEffect]:
        """Go back to the first record without an ack when none came for too long."""
        for stream in self._streams.values():
            if self._overdue_ns(stream) is not None and now_ns >= stream.progress_ns + stream.timeout_ns:
                stream.progress_ns = now_ns
                if stream.waits_for_gap:
                    stream.passed = stream.next - 1
                    stream.flight.clear()
                    continue
                stream.rewind()
                stream.timeout_ns = min(2 * stream.timeout_ns, ACK_TIMEOUT_MOST_NS)
                self._scribe.count("went_back")
        return self.pump()

    def deadline_ns(self) -> int | None:
        """When :meth:`tick` is wanted."""
        due_ns: int | None = None
        for stream in self._streams.values() if self._connected else ():
            if stream.next - 1 > stream.acked:
                at_ns = stream.progress_ns + stream.timeout_ns
                if due_ns is None or at_ns < due_ns:
                    due_ns = at_ns
        return due_ns

    def pump(self) -> list[AgentEffect]:
        """Hand over what the windows allow; evidence waits until results and events are through."""
        effects: list[AgentEffect] = []
        if not self._connected:
            return effects
        for stream in self._streams.values():
            if stream.asked is not None or stream.next > stream.committed:
                continue
            if stream.kind == "evidence" and any(self._streams[k].pending for k in KINDS if k != "evidence"):
                continue
            records, size = stream.window()
            if records > 0 and size > 0:
                stream.asked = stream.next
                effects.append(Send(stream.kind, stream.next, min(records, BATCH_RECORDS), size))
        return effects

    def _overdue_ns(self, stream: Stream) -> int | None:
        if not self._connected or stream.in_flight <= 0:
            return None
        return stream.progress_ns + stream.timeout_ns

    def _new_ledger(self, ledger: str, now_ns: int) -> list[AgentEffect]:
        known, self.ledger = self.ledger, ledger
        if not known:
            return []  # the first ledger ever: what it acknowledges was never anybody else's
        effects: list[AgentEffect] = []
        for kind, stream in self._streams.items():
            stream.explained = True
            if stream.first > 1:
                missing = SeqRange(1, stream.first - 1)
                effects.append(self._scribe.gap(now_ns, kind, missing, f"acknowledged to ledger {known}"))
            stream.let_go = max(stream.let_go, stream.acked)
            stream.told = stream.upto = 0
            stream.acked = stream.first - 1
            stream.rewind()
        return [*effects, self._scribe.event(now_ns, "LEDGER_CHANGED", "warning", ledger, before=known)]

    def _suspect(self, stream: Stream, now_ns: int) -> list[AgentEffect]:
        culprit = stream.acked + 1
        stream.suspicions = stream.suspicions + 1 if stream.suspect == culprit else 1
        stream.suspect = culprit
        if stream.suspicions < SUSPICIONS:
            return []
        stream.acked = culprit
        stream.suspicions = 0
        self._scribe.count("set_aside")
        return [self._scribe.gap(now_ns, stream.kind, SeqRange(culprit, culprit), "the connection ended at it 3 times")]
